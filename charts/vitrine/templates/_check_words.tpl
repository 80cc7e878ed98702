{{/* Names the cluster would refuse, or that would come apart from what selects them. */}}
{{- define "vitrine.checkNames" -}}
{{- $list := list -}}
{{- $name := include "vitrine.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $list = append $list (printf "The release's name makes %q the beginning of all names, and a Service's begins with a letter and has no dot: give fullnameOverride." $name) -}}
{{- end -}}
{{- $ours := concat (keys (include "vitrine.labels" (dict "root" (dict "Values" dict "Release" .Release "Chart" .Chart) "component" "any") | fromYaml)) (list "vitrine/service" "vitrine/job") -}}
{{- range $key, $_ := .Values.commonLabels -}}
{{- if has $key $ours -}}
{{- $list = append $list (printf "commonLabels must not have %s: the chart gives it, and selects pods by such labels." $key) -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/*
Variables that are not for `env`: what the chart gives would be there twice, or no longer fit its ports, folders
and policies; and a secret would be readable in the release.
*/}}
{{- define "vitrine.checkEnv" -}}
{{- $list := list -}}
{{- $free := list "LOG_LEVEL" "LOG_FORMAT" -}}
{{- range $workload := (include "vitrine.workloads" . | fromYaml).list -}}
{{- $given := dict -}}
{{- $bare := set (deepCopy $workload) "spec" (set (deepCopy $workload.spec) "env" dict) -}}
{{- range include "vitrine.env" (set $bare "root" $) | fromYamlArray -}}
{{- $given = set $given (trimPrefix (printf "%s_" (upper $workload.service)) .name) true -}}
{{- end -}}
{{- range $name, $_ := $workload.spec.env -}}
{{- if regexMatch "(^|_)(TOKEN|SECRET|SECRETS_PREVIOUS|DATABASE_URL)$" $name -}}
{{- $list = append $list (printf "%s: env.%s is a secret: it belongs into a Secret that the values name, not into the values." $workload.name $name) -}}
{{- else if and (hasKey $given $name) (not (has $name $free)) -}}
{{- $list = append $list (printf "%s: env.%s is given by the chart, out of values of their own: it may not be set here too." $workload.name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "list" (uniq $list) | toYaml -}}
{{- end -}}

{{/* Public addresses and the paths of Ingresses fit each other. */}}
{{- define "vitrine.checkPublic" -}}
{{- $root := . -}}
{{- $list := list -}}
{{- $links := "" -}}
{{- if .Values.vpn.links.enabled }}{{ $links = .Values.vpn.links.url }}{{ end -}}
{{- $webhook := "" -}}
{{- if eq .Values.telegram.mode "webhook" -}}
{{- $webhook = .Values.telegram.webhookUrl -}}
{{- $first := regexFind "^/[^/]*" .Values.telegram.webhookPath -}}
{{- if has $first (list "/pay" "/sub") -}}
{{- $list = append $list (printf "telegram.webhookPath %s is below %s, which leads to another service." .Values.telegram.webhookPath $first) -}}
{{- end -}}
{{- end -}}
{{- with $links -}}
{{- if (urlParse .).path -}}
{{- $list = append $list (printf "vpn.links.url %s has a path: links are served at /sub, right below the host, and the address has no slash at its end." .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.ingress.host -}}
{{- range $key, $url := dict "telegram.webhookUrl" $webhook "vpn.links.url" $links -}}
{{- if and $url (ne (include "vitrine.hostOf" $url) (lower $root.Values.ingress.host)) -}}
{{- $list = append $list (printf "%s names %s, but the Ingress answers to ingress.host %s alone." $key (include "vitrine.hostOf" $url) $root.Values.ingress.host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/* An address that says nothing of who it is: open to anybody would be the only guess. */}}
{{- define "vitrine.checkPeers" -}}
{{- $root := . -}}
{{- $list := list -}}
{{- $asked := list -}}
{{- range splitList "," .Values.nats.url }}{{ $asked = append $asked (list "nats.url" . "nats") }}{{ end -}}
{{- range .Values.comfyui.servers }}{{ $asked = append $asked (list (printf "comfyui.servers.%s.url" .name) .url "comfyui") }}{{ end -}}
{{- $asked = append $asked (list "telemetry.otlpEndpoint" .Values.telemetry.otlpEndpoint "telemetry") -}}
{{- if .Values.telemetry.collector.enabled -}}
{{- $asked = append $asked (list "telemetry.collector.tracesEndpoint" .Values.telemetry.collector.tracesEndpoint "telemetry") -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- range $asked -}}
{{- $key := index . 2 -}}
{{- $url := index . 1 -}}
{{- if and $url (not (get $root.Values.networkPolicy $key)) -}}
{{- $peers := include "vitrine.peersOf" (dict "root" $root "url" $url) | fromYaml -}}
{{- if not $peers.list -}}
{{- $list = append $list (printf "networkPolicy.%s is empty, and %s %s says neither a namespace of the cluster (.svc.) nor an address: name whom it leads to, such as [{ipBlock: {cidr: 203.0.113.7/32}}]." $key (index . 0) $url) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "list" (uniq $list) | toYaml -}}
{{- end -}}
