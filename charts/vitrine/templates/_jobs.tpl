{{/*
What makes a Job before the rollout a helm hook, in the order of the weights: schemas, then streams, so that a
migration that fails has changed nothing else. It is an ordinary object (`plain`) where what it needs is part of
this very release and does not exist yet; then services wait for what it does (a hook after the release would wait
for services that wait for it). dev's may be made anew by each upgrade. For the rest an upgrade asks the cluster: there
may be nothing but an installation that failed, or this may be the one that brings Postgres. Without a cluster to ask
(`helm template`) the answer is that there is nothing, which is right either way: ordinary Jobs.
*/}}
{{- define "vitrine.migratePlain" -}}
{{- if .Values.dev.postgres.enabled -}}
yes
{{- else if .Values.cnpg.enabled -}}
{{- if .Release.IsInstall -}}
yes
{{- else -}}
{{- $cluster := dict -}}
{{- if .Capabilities.APIVersions.Has "postgresql.cnpg.io/v1" -}}
{{- $cluster = lookup "postgresql.cnpg.io/v1" "Cluster" .Release.Namespace (printf "%s-postgres" (include "vitrine.fullname" .)) -}}
{{- end -}}
{{- if not (dig "status" "readyInstances" 0 $cluster) -}}yes{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vitrine.bootstrapPlain" -}}
{{- if .Values.dev.nats.enabled -}}
yes
{{- else if .Values.certManager.enabled -}}
{{- if or .Release.IsInstall (not (lookup "v1" "Secret" .Release.Namespace (printf "%sbootstrap-tls" .Values.nats.secretPrefix))) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vitrine.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .weight | quote }}
# When all have succeeded, all go. A failed one stays, for its log.
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/*
A Job. One that is no hook is called after what it runs: a Job can not be changed, and where nobody counts
revisions (GitOps) another release must be another Job. Takes {root, component, plain, weight, spec}.
*/}}
{{- define "vitrine.job" -}}
{{- $name := printf "%s-%s" (include "vitrine.fullname" .root) .component -}}
{{- $run := printf "%d %s" .root.Release.Revision .spec | sha256sum | trunc 8 -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ ternary (printf "%s-%s" $name $run) $name (eq .plain "yes") }}
  labels:
    {{- include "vitrine.labels" . | nindent 4 }}
  {{- if not .plain }}
  annotations:
    {{- include "vitrine.hook" . | nindent 4 }}
    # helm 4 prints what was done, and what waits.
    helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
  {{- end }}
spec:
  # A plain one also waits for what it needs to come up.
  activeDeadlineSeconds: {{ ternary (add 1200 .root.Values.jobs.deadlineSeconds) .root.Values.jobs.deadlineSeconds (eq .plain "yes") }}
  backoffLimit: {{ ternary 20 .root.Values.jobs.retries (eq .plain "yes") }}
  template:
    {{- .spec | nindent 4 }}
{{- end -}}

{{/*
The way out of a kind of Job. That of hooks is a hook too, before them: where the namespace refuses all by
itself, nothing else of the release would let them out. Takes {root, job, plain, way}.
*/}}
{{- define "vitrine.jobPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "vitrine.fullname" .root }}-{{ .job }}{{ if not .plain }}-hook{{ end }}
  labels:
    {{- include "vitrine.labels" (dict "root" .root "component" .job) | nindent 4 }}
  {{- if not .plain }}
  annotations:
    {{- include "vitrine.hook" (dict "weight" "-15") | nindent 4 }}
  {{- end }}
spec:
  {{- include "vitrine.jobPeer" . | nindent 2 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "vitrine.toNames" .root | nindent 4 }}
    {{- include .way .root | nindent 4 }}
{{- end -}}

{{/* Limits of streams as JSON; whole numbers, for YAML reads large ones as floats. */}}
{{- define "vitrine.maxBytes" -}}
{{- $parts := list -}}
{{- range $stream, $bytes := . }}{{ $parts = append $parts (printf "%q: %d" $stream (int64 $bytes)) }}{{ end -}}
{{ printf "{%s}" (join ", " $parts) }}
{{- end -}}
