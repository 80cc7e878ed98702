{{/*
How every command line of the operator's image finds NATS, its keys, and the logins that services have. None of
a service's own keys: what an operator orders is signed as an operator's.
*/}}
{{- define "vitrine.operatorEnv" -}}
{{- $root := . -}}
{{- $settings := dict
    "NATS_URL" (include "vitrine.natsUrl" .)
    "NATS_TLS_DIR" "/etc/vitrine/nats"
    "NATS_SEED_FILE" "/etc/vitrine/nats/seed"
    "SIGNATURES" .Values.signing.mode
-}}
{{- if ne .Values.signing.mode "off" }}{{ $settings = set $settings "SIGNING_KEY_FILE" "/etc/vitrine/signing/signing.key" }}{{ end -}}
{{- range $program := list "vitrine" "billing" "vpn" }}
{{- range $name, $value := $settings }}
- name: {{ upper $program }}_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
# Which ticks there are is a setting.
{{- range $name, $value := .Values.services.scheduler.env }}
- name: SCHEDULER_{{ $name }}
  value: {{ include "vitrine.scalar" $value | quote }}
{{- end }}
{{- range $service, $fixed := include "vitrine.services" . | fromYaml }}
{{- if $fixed.database }}
- name: {{ upper $service }}_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "vitrine.databaseSecret" (dict "root" $root "owner" $service) }}
      key: {{ $root.Values.database.key }}
      # A desk is also for finding out what is missing.
      optional: true
{{- end }}
{{- end }}
{{- end -}}
