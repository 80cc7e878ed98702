{{/* One part of this release, as a peer. Takes {root, component}. */}}
{{- define "vitrine.partPeer" -}}
podSelector:
  matchLabels:
    {{- include "vitrine.selector" . | nindent 4 }}
{{- end -}}

{{/* The pods of a kind of Job, as a peer. Takes {root, job}. */}}
{{- define "vitrine.jobPeer" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: vitrine
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    vitrine/job: {{ .job }}
{{- end -}}

{{/* All pods of the services, as a peer; and of those alone that have a database. */}}
{{- define "vitrine.servicesPeer" -}}
{{- include "vitrine.podsOf" (dict "root" . "services" (keys (include "vitrine.services" . | fromYaml))) -}}
{{- end -}}

{{- define "vitrine.databasePeer" -}}
{{- $names := list -}}
{{- range $name, $fixed := include "vitrine.services" . | fromYaml -}}
{{- if $fixed.database }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- include "vitrine.podsOf" (dict "root" . "services" $names) -}}
{{- end -}}

{{- define "vitrine.podsOf" -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: vitrine
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
    - key: vitrine/service
      operator: In
      values: [{{ .services | sortAlpha | join ", " }}]
{{- end -}}

{{/*
Who an address is, as a list of peers under `list`: those that were given; else the namespace that a name of the
cluster says (`.svc.`; a single word: this one), the one address that is a number, and for a name of a private
network the pods of the cluster and the private networks. Any other name may be anybody: the list is empty, or the
internet where `public` says so. Takes {root, given, url, public}.
*/}}
{{- define "vitrine.peersOf" -}}
{{- $host := include "vitrine.hostOf" .url -}}
{{- $inside := regexFind "^([^.]+[.]){1,2}[^.]+[.]svc([.]|$)" $host -}}
{{- $list := list -}}
{{- if .given -}}
{{- $list = .given -}}
{{- else if regexMatch "^[0-9]+([.][0-9]+){3}$" $host -}}
{{- $list = list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host))) -}}
{{- else if contains ":" $host -}}
{{- $list = list (dict "ipBlock" (dict "cidr" (printf "%s/128" $host))) -}}
{{- else if $inside -}}
{{- $namespace := regexReplaceAll "[.]svc[.]?$" $inside "" | splitList "." | last -}}
{{- $list = list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace))) -}}
{{- else if not (contains "." $host) -}}
{{- $list = list (dict "podSelector" (dict)) -}}
{{- else if regexMatch "[.](local|internal|intranet|private|corp|lan|home[.]arpa)$" $host -}}
{{- $list = (include "vitrine.privatePeers" .root | fromYaml).list -}}
{{- else if .public -}}
{{- $list = (include "vitrine.publicPeers" .root | fromYaml).list -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/* The pods of the cluster and the private networks: never the internet, never a link-local address. */}}
{{- define "vitrine.privatePeers" -}}
{{- $list := list (dict "namespaceSelector" (dict)) -}}
{{- range without .Values.networkPolicy.privateNetworks "169.254.0.0/16" "fe80::/10" -}}
{{- $list = append $list (dict "ipBlock" (dict "cidr" .)) -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/* The internet: no private network, and no link-local address, where clouds tell their machines secrets. */}}
{{- define "vitrine.publicPeers" -}}
{{- $four := list "169.254.0.0/16" -}}
{{- $six := list "fe80::/10" -}}
{{- range .Values.networkPolicy.privateNetworks -}}
{{- if contains ":" . }}{{ $six = append $six . }}{{ else }}{{ $four = append $four . }}{{ end -}}
{{- end -}}
{{- $list := list
    (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" (uniq $four)))
    (dict "ipBlock" (dict "cidr" "::/0" "except" (uniq $six)))
-}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/* Whoever may come in by these names of networkPolicy.callers, as a list of peers. Takes {root, names}. */}}
{{- define "vitrine.callers" -}}
{{- $list := list -}}
{{- range .names -}}
{{- if eq . "simulators" -}}
{{- if $.root.Values.dev.simulators.enabled -}}
{{- $list = append $list (include "vitrine.partPeer" (dict "root" $.root "component" "simulators") | fromYaml) -}}
{{- end -}}
{{- else -}}
{{- $list = concat $list (get $.root.Values.networkPolicy.callers . | default list) -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/*
One item of `ingress` or `egress`, or nothing: a rule without peers would be open to everybody.
Takes {key: from or to, ports, peers}.
*/}}
{{- define "vitrine.rule" -}}
{{- if .peers -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{ .key }}:
    {{- toYaml .peers | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* A way out to each of these addresses, on its port. Takes {root, given, urls, public}. */}}
{{- define "vitrine.toUrls" -}}
{{- $rules := list -}}
{{- range .urls -}}
{{- $peers := (include "vitrine.peersOf" (dict "root" $.root "given" $.given "url" . "public" $.public) | fromYaml).list -}}
{{- with include "vitrine.rule" (dict "key" "to" "ports" (list (include "vitrine.portOf" .)) "peers" $peers) -}}
{{- $rules = append $rules . -}}
{{- end -}}
{{- end -}}
{{- join "\n" (uniq $rules) -}}
{{- end -}}

{{/* Ways out, each an item of `egress`. What every pod may: ask for names, and extraEgress. */}}
{{- define "vitrine.toNames" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "vitrine.toNats" -}}
{{- if and .Values.dev.nats.enabled (not .Values.nats.url) -}}
{{- $peer := include "vitrine.partPeer" (dict "root" . "component" "nats") | fromYaml -}}
{{- include "vitrine.rule" (dict "key" "to" "ports" (list 4222) "peers" (list $peer)) -}}
{{- else -}}
{{- include "vitrine.toUrls" (dict "root" . "given" .Values.networkPolicy.nats "urls" (splitList "," .Values.nats.url)) -}}
{{- end -}}
{{- end -}}

{{/* The URL of Postgres is in a Secret, so its host says nothing here. */}}
{{- define "vitrine.toPostgres" -}}
{{- $peers := .Values.networkPolicy.postgres -}}
{{- $port := 5432 -}}
{{- if .Values.dev.postgres.enabled -}}
{{- $peers = list (include "vitrine.partPeer" (dict "root" . "component" "postgres") | fromYaml) -}}
{{- else if .Values.cnpg.enabled -}}
{{- $peers = concat (list (include "vitrine.cnpgPeer" . | fromYaml)) $peers -}}
{{- else -}}
{{- $port = int .Values.networkPolicy.postgresPort -}}
{{- if not $peers }}{{ $peers = (include "vitrine.privatePeers" . | fromYaml).list }}{{ end -}}
{{- end -}}
{{- include "vitrine.rule" (dict "key" "to" "ports" (list $port) "peers" $peers) -}}
{{- end -}}

{{/* The pods CloudNativePG makes of our Cluster. */}}
{{- define "vitrine.cnpgPeer" -}}
podSelector:
  matchLabels:
    cnpg.io/cluster: {{ include "vitrine.fullname" . }}-postgres
{{- end -}}

{{- define "vitrine.toTelemetry" -}}
{{- if .Values.telemetry.otlpEndpoint -}}
{{- include "vitrine.toUrls" (dict "root" . "given" .Values.networkPolicy.telemetry "urls" (list .Values.telemetry.otlpEndpoint)) -}}
{{- else if .Values.telemetry.collector.enabled -}}
{{- $peer := include "vitrine.partPeer" (dict "root" . "component" "collector") | fromYaml -}}
{{- include "vitrine.rule" (dict "key" "to" "ports" (list 4318) "peers" (list $peer)) -}}
{{- end -}}
{{- end -}}

{{/*
Telegram and the payment providers, or servers of one's own in their place: the internet only for names of the
internet. Takes {root, calls, peers}, the latter a key of networkPolicy.
*/}}
{{- define "vitrine.toProviders" -}}
{{- $own := include "vitrine.host" (dict "root" .root "part" "simulators") -}}
{{- $urls := list -}}
{{- range .calls }}{{ if ne (include "vitrine.hostOf" .) $own }}{{ $urls = append $urls . }}{{ end }}{{ end -}}
{{- include "vitrine.toUrls" (dict "root" .root "given" (get .root.Values.networkPolicy .peers) "urls" $urls "public" true) -}}
{{- if .root.Values.dev.simulators.enabled }}
{{ include "vitrine.rule" (dict "key" "to" "ports" (list 8081 8082 8083) "peers" (list (include "vitrine.partPeer" (dict "root" .root "component" "simulators") | fromYaml))) }}
{{- end }}
{{- end -}}

{{/* Agents of VPN nodes, by mutual TLS: those named, or any address but link-local ones, on their ports alone. */}}
{{- define "vitrine.toNodes" -}}
{{- if .Values.vpn.nodes.secret -}}
{{- $anywhere := list
    (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" (list "169.254.0.0/16")))
    (dict "ipBlock" (dict "cidr" "::/0" "except" (list "fe80::/10")))
-}}
{{- include "vitrine.rule" (dict "key" "to" "ports" .Values.vpn.nodes.ports "peers" (.Values.networkPolicy.nodes | default $anywhere)) -}}
{{- end -}}
{{- end -}}

{{/* The host of an URL: no port, no brackets, small letters. */}}
{{- define "vitrine.hostOf" -}}
{{- regexReplaceAll ":[0-9]*$" (urlParse .).host "" | lower | trimPrefix "[" | trimSuffix "]" | trimSuffix "." -}}
{{- end -}}

{{/* The port an URL names, or its scheme's. */}}
{{- define "vitrine.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $port | default (get (dict "https" "443" "http" "80" "tls" "4222") $url.scheme) -}}
{{- end -}}
