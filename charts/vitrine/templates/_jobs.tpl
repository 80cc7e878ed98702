{{/*
A Job before the rollout: a hook where what it needs exists already. `plain`: it needs a part of this
very release, so it is an ordinary Job, and services wait for what it does (a hook after the release
would wait for services that wait for it).
*/}}
{{- define "vitrine.jobMetadata" -}}
{{- $name := printf "%s-%s" (include "vitrine.fullname" .root) .component -}}
{{- if .plain -}}
name: {{ $name }}-{{ .root.Release.Revision }}
{{- else -}}
name: {{ $name }}
{{- end }}
labels:
  {{- include "vitrine.labels" . | nindent 2 }}
{{- if not .plain }}
annotations:
  helm.sh/hook: pre-install,pre-upgrade
  helm.sh/hook-weight: {{ .weight | quote }}
  # A failed one stays, for its log.
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
{{- end -}}

{{- define "vitrine.jobLimits" -}}
# A plain one also waits for what it needs to come up.
activeDeadlineSeconds: {{ ternary (add 1200 .root.Values.jobs.deadlineSeconds) .root.Values.jobs.deadlineSeconds .plain }}
backoffLimit: {{ ternary 20 .root.Values.jobs.retries .plain }}
{{- if .plain }}
ttlSecondsAfterFinished: 3600
{{- end }}
{{- end -}}

{{/* Limits of streams as JSON; whole numbers, for YAML reads large ones as floats. */}}
{{- define "vitrine.maxBytes" -}}
{{- $parts := list -}}
{{- range $stream, $bytes := . }}{{ $parts = append $parts (printf "%q: %d" $stream (int64 $bytes)) }}{{ end -}}
{{ printf "{%s}" (join ", " $parts) }}
{{- end -}}
