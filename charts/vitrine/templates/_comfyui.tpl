{{/*
ComfyUI beside its generator, as a restartable init container: it is up before the generator starts,
and still there while the generator hands back its jobs. Takes {root, sidecar}.
*/}}
{{- define "vitrine.comfyui" -}}
{{- $port := int (.sidecar.port | default 8188) -}}
{{- $gpus := .sidecar.gpus | default 0 -}}
{{- $resources := deepCopy (.sidecar.resources | default dict) -}}
{{- if $gpus -}}
{{- $limit := dict (.sidecar.gpuResource | default "nvidia.com/gpu") $gpus -}}
{{- $resources = mergeOverwrite $resources (dict "limits" (mergeOverwrite (deepCopy ($resources.limits | default dict)) $limit)) -}}
{{- end -}}
- name: comfyui
  restartPolicy: Always
  {{- if .sidecar.simulated }}
  image: {{ include "vitrine.image" (dict "root" .root "image" "simulators") }}
  {{- else }}
  image: {{ .sidecar.image }}
  {{- end }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  securityContext:
    {{- include "vitrine.containerSecurity" . | nindent 4 }}
  {{- if .sidecar.simulated }}
  args: [python, -m, simulators.comfyui, --host, "0.0.0.0", --port, {{ $port | quote }}, --data-dir, /data]
  {{- else }}
  {{- with .sidecar.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .sidecar.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  env:
    # Libraries keep caches below it; the image's own home cannot be written.
    {{- range $name, $value := merge (deepCopy (.sidecar.env | default dict)) (dict "HOME" "/tmp") }}
    - name: {{ $name }}
      value: {{ include "vitrine.scalar" $value | quote }}
    {{- end }}
  ports:
    - name: comfyui
      containerPort: {{ $port }}
  startupProbe:
    httpGet: {path: /system_stats, port: comfyui}
    periodSeconds: 5
    failureThreshold: {{ .sidecar.startupFailures | default 120 }}
  livenessProbe:
    # An open port only: a busy server may not answer for a while, and the generator judges the rest.
    tcpSocket: {port: comfyui}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 6
  resources:
    {{- toYaml $resources | nindent 4 }}
  volumeMounts:
    - name: comfyui-tmp
      mountPath: /tmp
    - name: comfyui-data
      mountPath: {{ .sidecar.dataPath | default "/data" }}
    {{- with .sidecar.models }}
    - name: comfyui-models
      mountPath: {{ .mountPath }}
      readOnly: true
    {{- end }}
{{- end -}}

{{/* The seconds it may take to start; none without a sidecar. Takes {sidecar}. */}}
{{- define "vitrine.comfyuiStartup" -}}
{{- if .sidecar }}{{ mul 5 (.sidecar.startupFailures | default 120) }}{{ else }}0{{ end -}}
{{- end -}}

{{- define "vitrine.comfyuiVolumes" -}}
- name: comfyui-tmp
  emptyDir:
    sizeLimit: {{ .sidecar.tmpSize | default "4Gi" }}
- name: comfyui-data
  emptyDir:
    sizeLimit: {{ .sidecar.dataSize | default "20Gi" }}
{{- with .sidecar.models }}
- name: comfyui-models
  {{- toYaml .volume | nindent 2 }}
{{- end }}
{{- end -}}
