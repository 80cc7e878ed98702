{{/*
The environment of a service's process. Takes {root, service, fixed, spec, server, migrating}.
Names have the service's prefix; what `env` of the values says comes last and wins. A migration needs
neither NATS nor keys, and no secret but its logins: it is not told what the service works with.
*/}}
{{- define "vitrine.env" -}}
{{- $root := .root -}}
{{- $prefix := upper .service -}}
{{- $settings := dict "LOG_FORMAT" "json" "LOG_LEVEL" $root.Values.logLevel -}}
{{- if not .migrating -}}
{{- $settings = mergeOverwrite $settings (dict
    "NATS_URL" (include "vitrine.natsUrl" $root)
    "NATS_TLS_DIR" "/etc/vitrine/nats"
    "NATS_SEED_FILE" "/etc/vitrine/nats/seed"
    "SIGNATURES" $root.Values.signing.mode
    "HEALTH_HOST" "0.0.0.0"
    "HEALTH_PORT" "8080"
    "SHUTDOWN_GRACE" (toString .spec.shutdownGraceSeconds)
) -}}
{{- if ne $root.Values.signing.mode "off" -}}
{{- $settings = mergeOverwrite $settings (dict
    "SIGNING_KEY_FILE" "/etc/vitrine/signing/signing.key"
    "VERIFY_KEYS_DIR" "/etc/vitrine/verify"
) -}}
{{- end -}}
{{- with include "vitrine.otlpEndpoint" $root }}{{ $settings = set $settings "OTLP_ENDPOINT" . }}{{ end -}}
{{- end -}}
{{- if .fixed.database }}{{ $settings = set $settings "DATABASE_URL_FILE" "/etc/vitrine/database/url" }}{{ end -}}
{{- if .fixed.catalogue }}{{ $settings = set $settings "CATALOGUE_DIR" "/app/catalogue" }}{{ end -}}
{{- if not .migrating -}}
{{- $settings = mergeOverwrite $settings (.fixed.settings | default dict) -}}
{{- range $name, $_ := .fixed.secretFiles }}{{ $settings = set $settings (printf "%s_FILE" $name) (printf "/etc/vitrine/secrets/%s" (include "vitrine.secretFile" $name)) }}{{ end -}}
{{- end -}}
{{- range $name, $value := .spec.env }}{{ $settings = set $settings $name (include "vitrine.scalar" $value) }}{{ end -}}
{{- range $name, $value := $settings }}
{{- if not (and $.migrating (hasPrefix "/etc/vitrine/" $value)) }}
- name: {{ $prefix }}_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- if (.server | default dict).sidecar }}
- name: {{ $prefix }}_SERVER_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- if not .migrating }}
{{- range $name, $place := .fixed.secrets }}
- name: {{ $prefix }}_{{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ index $place 0 }}
      key: {{ index $place 1 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the file of a secret is called: BOT_TOKEN is bot-token. */}}
{{- define "vitrine.secretFile" -}}
{{- . | lower | replace "_" "-" -}}
{{- end -}}

{{/* A value as text; a whole number never as 1e+06, though YAML made it a float. */}}
{{- define "vitrine.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
