{{/* The release's own name; "vitrine" stays "vitrine". */}}
{{- define "vitrine.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: selectors are made of them. Takes {root, component}. */}}
{{- define "vitrine.selector" -}}
app.kubernetes.io/name: vitrine
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes {root, component}. */}}
{{- define "vitrine.labels" -}}
{{ include "vitrine.selector" . }}
app.kubernetes.io/part-of: vitrine
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Which release of ours this is. */}}
{{- define "vitrine.release" -}}
{{- .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{/* One of our own images. Takes {root, image}: a service's name, or "simulators". */}}
{{- define "vitrine.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s%s" $image.prefix .image -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $image.registry) $name }}{{ end -}}
{{- $digest := get $image.digests .image -}}
{{- if $digest -}}
{{- printf "%s@%s" $name $digest -}}
{{- else -}}
{{- printf "%s:%s" $name (include "vitrine.release" .root) -}}
{{- end -}}
{{- end -}}

{{/* The name by which pods of the namespace reach a part of this release. Takes {root, part}. */}}
{{- define "vitrine.host" -}}
{{- printf "%s-%s.%s.svc.%s" (include "vitrine.fullname" .root) .part .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}

{{/* Where NATS answers clients. */}}
{{- define "vitrine.natsUrl" -}}
{{- if .Values.nats.url -}}
{{- .Values.nats.url -}}
{{- else if .Values.dev.nats.enabled -}}
{{- printf "tls://%s:4222" (include "vitrine.host" (dict "root" . "part" "nats")) -}}
{{- end -}}
{{- end -}}

{{/* Where KEDA reads queue depths. Always a full name: KEDA resolves it from its own namespace. */}}
{{- define "vitrine.natsMonitoring" -}}
{{- if .Values.nats.monitoringEndpoint -}}
{{- .Values.nats.monitoringEndpoint -}}
{{- else if .Values.dev.nats.enabled -}}
{{- printf "%s:8222" (include "vitrine.host" (dict "root" . "part" "nats")) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with a database URL. Takes {root, owner}: a service's name, or "migrate". */}}
{{- define "vitrine.databaseSecret" -}}
{{- $given := get .root.Values.database.secrets .owner -}}
{{- if $given -}}
{{- $given -}}
{{- else if .root.Values.dev.postgres.enabled -}}
{{- printf "%s-db-%s" (include "vitrine.fullname" .root) .owner -}}
{{- else if and .root.Values.cnpg.enabled (not .root.Values.cnpg.ownerSecret) (eq .owner "migrate") -}}
{{- printf "%s-postgres-app" (include "vitrine.fullname" .root) -}}
{{- end -}}
{{- end -}}

{{/* The key in it; the Secret CloudNativePG makes for the owner has one of its own. */}}
{{- define "vitrine.databaseKey" -}}
{{- if and .root.Values.cnpg.enabled (eq .owner "migrate") (not .root.Values.database.secrets.migrate) -}}
uri
{{- else -}}
{{- .root.Values.database.key -}}
{{- end -}}
{{- end -}}

{{/* The Secret of the bot, and the one of payments; simulators bring their own. */}}
{{- define "vitrine.telegramSecret" -}}
{{- if .Values.telegram.secret -}}
{{- .Values.telegram.secret -}}
{{- else if .Values.dev.simulators.enabled -}}
{{- printf "%s-gateway" (include "vitrine.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "vitrine.paymentsSecret" -}}
{{- if .Values.payments.secret -}}
{{- .Values.payments.secret -}}
{{- else if .Values.dev.simulators.enabled -}}
{{- printf "%s-billing" (include "vitrine.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Where telemetry goes: a collector of the cluster's, the one of this chart, or nowhere. */}}
{{- define "vitrine.otlpEndpoint" -}}
{{- if .Values.telemetry.otlpEndpoint -}}
{{- .Values.telemetry.otlpEndpoint -}}
{{- else if .Values.telemetry.collector.enabled -}}
{{- printf "http://%s:4318" (include "vitrine.host" (dict "root" . "part" "collector")) -}}
{{- end -}}
{{- end -}}
