{{/* Peers of a rule, as `from` or `to`; none named: anybody, on the port alone. Takes {key, peers}. */}}
{{- define "vitrine.peers" -}}
{{- if .peers }}
{{ .key }}:
  {{- toYaml .peers | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One part of this release, as a peer. Takes {root, component}. */}}
{{- define "vitrine.partPeer" -}}
podSelector:
  matchLabels:
    {{- include "vitrine.selector" . | nindent 4 }}
{{- end -}}

{{/* All pods of the services, as a peer. */}}
{{- define "vitrine.servicesPeer" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: vitrine
    app.kubernetes.io/instance: {{ .Release.Name }}
  matchExpressions:
    - key: vitrine/service
      operator: In
      values: [{{ keys (include "vitrine.services" . | fromYaml) | sortAlpha | join ", " }}]
{{- end -}}

{{/* Ways out, each an item of `egress`. */}}
{{- define "vitrine.toNats" -}}
- ports:
    - {protocol: TCP, port: {{ ternary 4222 (int .Values.networkPolicy.natsPort) (and .Values.dev.nats.enabled (not .Values.nats.url)) }}}
  {{- if and .Values.dev.nats.enabled (not .Values.nats.url) }}
  to:
    - {{ include "vitrine.partPeer" (dict "root" . "component" "nats") | nindent 6 | trim }}
  {{- else }}
  {{- with include "vitrine.peers" (dict "key" "to" "peers" .Values.networkPolicy.nats) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "vitrine.toPostgres" -}}
- ports:
    - {protocol: TCP, port: {{ ternary 5432 (int .Values.networkPolicy.postgresPort) .Values.dev.postgres.enabled }}}
  {{- if .Values.dev.postgres.enabled }}
  to:
    - {{ include "vitrine.partPeer" (dict "root" . "component" "postgres") | nindent 6 | trim }}
  {{- else }}
  {{- with include "vitrine.peers" (dict "key" "to" "peers" .Values.networkPolicy.postgres) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "vitrine.toTelemetry" -}}
{{- if .Values.telemetry.otlpEndpoint }}
- ports:
    - {protocol: TCP, port: {{ .Values.networkPolicy.telemetryPort }}}
  {{- with include "vitrine.peers" (dict "key" "to" "peers" .Values.networkPolicy.telemetry) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- else if .Values.telemetry.collector.enabled }}
- ports:
    - {protocol: TCP, port: 4318}
  to:
    - {{ include "vitrine.partPeer" (dict "root" . "component" "collector") | nindent 6 | trim }}
{{- end }}
{{- end -}}

{{/* The internet by https, never a private network. */}}
{{- define "vitrine.toHttps" -}}
- ports:
    - {protocol: TCP, port: 443}
  to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
          {{- toYaml .Values.networkPolicy.privateNetworks | nindent 10 }}
{{- if .Values.dev.simulators.enabled }}
- ports:
    - {protocol: TCP, port: 8081}
    - {protocol: TCP, port: 8082}
    - {protocol: TCP, port: 8083}
  to:
    - {{ include "vitrine.partPeer" (dict "root" . "component" "simulators") | nindent 6 | trim }}
{{- end }}
{{- end -}}

{{/* Agents of VPN nodes: anywhere, on their ports alone. */}}
{{- define "vitrine.toNodes" -}}
{{- if .Values.vpn.nodes.secret }}
- ports:
    {{- range .Values.vpn.nodes.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The port an URL names, or its scheme's. */}}
{{- define "vitrine.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
