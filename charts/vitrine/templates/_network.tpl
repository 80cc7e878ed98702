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
{{- $ports := list -}}
{{- range splitList "," (include "vitrine.natsUrl" .) }}{{ $ports = append $ports (include "vitrine.portOf" .) }}{{ end -}}
- ports:
    {{- range uniq $ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
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
    - {protocol: TCP, port: {{ include "vitrine.portOf" .Values.telemetry.otlpEndpoint }}}
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

{{/*
Servers of one's own in place of Telegram's and the payment providers', on the ports of their addresses: they
may be in a private network. Takes {root, service}.
*/}}
{{- define "vitrine.toOwn" -}}
{{- $values := .root.Values -}}
{{- $urls := list -}}
{{- $peers := list -}}
{{- if eq .service "gateway" -}}
  {{- $peers = $values.networkPolicy.telegram -}}
  {{- if ne (urlParse $values.telegram.apiUrl).host "api.telegram.org" }}{{ $urls = list $values.telegram.apiUrl }}{{ end -}}
{{- else if eq .service "billing" -}}
  {{- $peers = $values.networkPolicy.payments -}}
  {{- range list $values.payments.cryptoPay $values.payments.yookassa -}}
    {{- if and .enabled .apiUrl }}{{ $urls = append $urls .apiUrl }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- range $urls }}
- ports:
    - {protocol: TCP, port: {{ include "vitrine.portOf" . }}}
  {{- with include "vitrine.peers" (dict "key" "to" "peers" $peers) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
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
{{- $port | default (get (dict "https" "443" "http" "80" "tls" "4222") $url.scheme) -}}
{{- end -}}
