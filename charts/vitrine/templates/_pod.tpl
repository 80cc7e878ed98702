{{/* What PodSecurity "restricted" asks of a pod, and more; files are read by the same group. */}}
{{- define "vitrine.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user | default 10001 }}
runAsGroup: {{ .user | default 10001 }}
fsGroup: {{ .user | default 10001 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* And of each of its containers. */}}
{{- define "vitrine.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Who a pod is: never a token of the cluster. Takes {root, account}. */}}
{{- define "vitrine.identity" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The folders a service is given, all read-only but /tmp. Takes {root, service, fixed}. */}}
{{- define "vitrine.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: nats
  mountPath: /etc/vitrine/nats
  readOnly: true
{{- if ne .root.Values.signing.mode "off" }}
- name: signing
  mountPath: /etc/vitrine/signing
  readOnly: true
- name: verify
  mountPath: /etc/vitrine/verify
  readOnly: true
{{- end }}
{{- if .fixed.database }}
- name: database
  mountPath: /etc/vitrine/database
  readOnly: true
{{- end }}
{{- if .fixed.secretFiles }}
# The folder, and no subPath: the kubelet never writes one of those again.
- name: secrets
  mountPath: /etc/vitrine/secrets
  readOnly: true
{{- end }}
{{- range $name, $_ := .fixed.secretVolumes }}
- name: {{ $name }}
  mountPath: /etc/vitrine/{{ $name }}
  readOnly: true
{{- end }}
{{- if and .fixed.catalogue .root.Values.catalogue.volume }}
- name: catalogue
  mountPath: /app/catalogue
  readOnly: true
{{- end }}
{{- end -}}

{{- define "vitrine.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .root.Values.tmpSize }}
{{ include "vitrine.natsVolume" (dict "root" .root "user" .service) }}
{{- if ne .root.Values.signing.mode "off" }}
- name: signing
  secret:
    secretName: {{ .root.Values.signing.secretPrefix }}{{ .service }}
    defaultMode: 0440
- name: verify
  configMap:
    name: {{ .root.Values.signing.verifyConfigMap }}
    defaultMode: 0444
{{- end }}
{{- if .fixed.database }}
- name: database
  secret:
    secretName: {{ include "vitrine.databaseSecret" (dict "root" .root "owner" .service) }}
    defaultMode: 0440
    items:
      - {key: {{ .root.Values.database.key }}, path: url}
{{- end }}
{{- if .fixed.secretFiles }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $place := .fixed.secretFiles }}
      - secret:
          name: {{ index $place 0 }}
          items:
            - {key: {{ index $place 1 }}, path: {{ include "vitrine.secretFile" $name }}}
      {{- end }}
{{- end }}
{{- range $name, $secret := .fixed.secretVolumes }}
- name: {{ $name }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
{{- end }}
{{- if and .fixed.catalogue .root.Values.catalogue.volume }}
- name: catalogue
  {{- toYaml .root.Values.catalogue.volume | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods may run. Takes {root, component, spec}. */}}
{{- define "vitrine.placement" -}}
{{- with .spec.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .spec.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- toYaml (mergeOverwrite (include "vitrine.zones" . | fromYaml) (deepCopy .spec.affinity)) | nindent 2 }}
{{- with .spec.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "vitrine.selector" $ | nindent 8 }}
{{- end -}}

{{/*
Zones apart, as affinity: a second spread constraint would do nothing, and undo the first, where nodes have no
zone, for the scheduler scores only nodes that have the labels of all constraints.
*/}}
{{- define "vitrine.zones" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: topology.kubernetes.io/zone
        labelSelector:
          matchLabels:
            {{- include "vitrine.selector" . | nindent 12 }}
{{- end -}}

{{/*
A NATS user's certificate and seed, in one folder: one Secret, or with cert-manager the one it keeps and
the one with the rest. Takes {root, user, secret, rest}.
*/}}
{{- define "vitrine.natsVolume" -}}
{{- $secret := .secret | default (printf "%s%s" .root.Values.nats.secretPrefix .user) -}}
- name: nats
  {{- if .root.Values.certManager.enabled }}
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $secret }}-tls
      - secret:
          name: {{ $secret }}
          items:
            - {key: {{ .rest | default "seed" }}, path: {{ .rest | default "seed" }}}
  {{- else }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
  {{- end }}
{{- end -}}
