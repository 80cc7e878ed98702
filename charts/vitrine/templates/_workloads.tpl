{{/*
Every Deployment of the platform, as YAML under `list`: one per service, and for the generator one
per entry of comfyui.servers. Each has
  name     of the Deployment, after the release's name
  service  whose image and settings it runs
  fixed    that service's entry of vitrine.services
  spec     its values: services.<name>, and over it what the server's entry says
  server   the entry, for generators
*/}}
{{- define "vitrine.workloads" -}}
{{- $root := . -}}
{{- $list := list -}}
{{- range $service, $fixed := include "vitrine.services" . | fromYaml -}}
  {{- $spec := get $root.Values.services $service -}}
  {{- if ne $service "generator" -}}
    {{- $list = append $list (dict "name" $service "service" $service "fixed" $fixed "spec" $spec) -}}
  {{- else -}}
    {{- range $server := $root.Values.comfyui.servers -}}
      {{- $own := include "vitrine.serverSpec" (dict "spec" $spec "server" $server) | fromYaml -}}
      {{- $list = append $list (dict "name" (printf "generator-%s" $server.name) "service" $service "fixed" (include "vitrine.serverFixed" (dict "fixed" $fixed "server" $server) | fromYaml) "spec" $own "server" $server) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{/* A server's entry over services.generator; one way to scale given there replaces the other. */}}
{{- define "vitrine.serverSpec" -}}
{{- $spec := deepCopy .spec -}}
{{- if or (hasKey .server "replicas") (hasKey .server "hpa") (hasKey .server "keda") -}}
  {{- $spec = set $spec "replicas" nil -}}
  {{- $spec = set $spec "hpa" (mergeOverwrite (deepCopy $spec.hpa) (dict "enabled" false)) -}}
  {{- $spec = set $spec "keda" (mergeOverwrite (deepCopy $spec.keda) (dict "enabled" false)) -}}
{{- end -}}
{{- range $key := list "replicas" "hpa" "keda" "resources" "nodeSelector" "tolerations" "affinity" "priorityClassName" "env" "shutdownGraceSeconds" -}}
  {{- if hasKey $.server $key -}}
    {{- $given := get $.server $key -}}
    {{- if and (kindIs "map" $given) (kindIs "map" (get $spec $key)) -}}
      {{- $given = mergeOverwrite (deepCopy (get $spec $key)) $given -}}
    {{- end -}}
    {{- $spec = set $spec $key $given -}}
  {{- end -}}
{{- end -}}
{{- $spec | toYaml -}}
{{- end -}}

{{/*
What the generator is told about its server. Next to ComfyUI every pod is a server of its own, so it is
called after the pod (vitrine.env); else the entry names it: one lease, one process at work.
*/}}
{{- define "vitrine.serverFixed" -}}
{{- $fixed := deepCopy .fixed -}}
{{- $url := .server.url -}}
{{- if .server.sidecar }}{{ $url = printf "http://127.0.0.1:%d" (int (.server.sidecar.port | default 8188)) }}{{ end -}}
{{- $settings := dict "COMFYUI_URL" $url "POOLS" (join "," .server.pools) -}}
{{- if not .server.sidecar }}{{ $settings = set $settings "SERVER_NAME" .server.name }}{{ end -}}
{{- $lag := list -}}
{{- range $pool := .server.pools -}}
  {{- $lag = append $lag (list "JOBS" (printf "%s-priority" $pool) (printf "vip_%s" $pool)) -}}
  {{- $lag = append $lag (list "JOBS" (printf "%s-regular" $pool) (printf "regular_%s" $pool)) -}}
{{- end -}}
{{- mergeOverwrite $fixed (dict "settings" $settings "lag" $lag) | toYaml -}}
{{- end -}}

{{/* Whether there can be more than one pod, now or at a rush: then they are evicted one at a time. */}}
{{- define "vitrine.several" -}}
{{- $most := .spec.replicas -}}
{{- if .spec.keda.enabled }}{{ $most = .spec.keda.max }}{{ else if .spec.hpa.enabled }}{{ $most = .spec.hpa.max }}{{ end -}}
{{- if ge (int $most) 2 }}yes{{ end -}}
{{- end -}}
