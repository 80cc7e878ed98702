{{/* What runs to bring a service's schema to this release. */}}
{{- define "vitrine.migration" -}}
metadata:
  labels:
    {{- include "vitrine.labels" . | nindent 4 }}
    vitrine/job: migrate
spec:
  restartPolicy: Never
  # Hooks run before the release's own accounts exist.
  {{- include "vitrine.identity" (dict "root" .root "account" "default") | nindent 2 }}
  securityContext:
    {{- include "vitrine.podSecurity" (dict) | nindent 4 }}
  containers:
    - name: migrate
      image: {{ include "vitrine.image" (dict "root" .root "image" .service) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [python, -m, {{ .service }}, migrate]
      securityContext:
        {{- include "vitrine.containerSecurity" . | nindent 8 }}
      env:
        {{- include "vitrine.env" . | trim | nindent 8 }}
        - name: {{ upper .service }}_MIGRATION_PHASE
          value: {{ ternary "all" "pre" (eq .root.Values.jobs.finished (include "vitrine.release" .root)) }}
        - name: {{ upper .service }}_DATABASE_URL
          valueFrom:
            secretKeyRef:
              name: {{ include "vitrine.databaseSecret" (dict "root" .root "owner" .service) }}
              key: {{ .root.Values.database.key }}
        - name: {{ upper .service }}_MIGRATION_DATABASE_URL
          valueFrom:
            secretKeyRef:
              name: {{ include "vitrine.databaseSecret" (dict "root" .root "owner" "migrate") }}
              key: {{ include "vitrine.databaseKey" (dict "root" .root "owner" "migrate") }}
      resources:
        {{- toYaml .root.Values.jobs.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ .root.Values.tmpSize }}
{{- end }}

{{/* What brings streams and consumers to it. */}}
{{- define "vitrine.bootstrap" -}}
metadata:
  labels:
    {{- include "vitrine.labels" (dict "root" . "component" "bootstrap") | nindent 4 }}
    vitrine/job: bootstrap
spec:
  restartPolicy: Never
  {{- include "vitrine.identity" (dict "root" . "account" "default") | nindent 2 }}
  securityContext:
    {{- include "vitrine.podSecurity" (dict) | nindent 4 }}
  containers:
    - name: bootstrap
      image: {{ include "vitrine.image" (dict "root" . "image" "billing") }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [python, -m, chassis.bootstrap]
      securityContext:
        {{- include "vitrine.containerSecurity" . | nindent 8 }}
      env:
        - name: NATS_URL
          value: {{ include "vitrine.natsUrl" . | quote }}
        - name: NATS_TLS_DIR
          value: /etc/vitrine/nats
        - name: NATS_SEED_FILE
          value: /etc/vitrine/nats/seed
        - name: VITRINE_REPLICAS
          value: {{ .Values.nats.replicas | quote }}
        {{- with .Values.nats.maxBytes }}
        - name: VITRINE_MAX_BYTES
          value: {{ include "vitrine.maxBytes" . | quote }}
        {{- end }}
      resources:
        {{- toYaml .Values.jobs.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: nats
          mountPath: /etc/vitrine/nats
          readOnly: true
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.tmpSize }}
    {{- include "vitrine.natsVolume" (dict "root" . "user" "bootstrap") | nindent 4 }}
{{- end }}
