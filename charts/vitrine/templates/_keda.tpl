{{/* A trigger's name in the formula: no hyphens. Takes [stream, consumer, name]. */}}
{{- define "vitrine.trigger" -}}
{{- if gt (len .) 2 -}}
{{- index . 2 -}}
{{- else -}}
{{- printf "%s_%s" (index . 0) (index . 1) | lower | replace "-" "_" -}}
{{- end -}}
{{- end -}}
