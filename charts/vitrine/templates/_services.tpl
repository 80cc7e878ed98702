{{/*
The five services, as YAML: what is decided by the code and therefore no value.
  settings     environment variables without the service's prefix
  secretFiles  the same, as files that are read again when the Secret changes: name -> [secret, key];
               the variable has _FILE after its name
  secrets      the same, as variables: for what a process reads once
  port         what is reached from outside the pod; `path` and `bodyLimit` are the Ingress's
  callers      who may open connections to that port (values: networkPolicy.callers)
  calls        what it calls outside, as URLs; `peers` is the key of networkPolicy that names them
  outside      what else it calls: nodes or comfyui
  lag          the consumers whose backlog KEDA may scale it by (contracts/topology.py)
*/}}
{{- define "vitrine.services" -}}
gateway:
  database: true
  catalogue: true
  settings:
    TELEGRAM_API_URL: {{ include "vitrine.telegramUrl" . | quote }}
    MODE: {{ .Values.telegram.mode | quote }}
    ADMIN_CHAT_ID: {{ .Values.telegram.adminChatId | int64 | quote }}
    SHOP_TIME_ZONE: {{ .Values.shopTimeZone | quote }}
    {{- if eq .Values.telegram.mode "webhook" }}
    WEBHOOK_URL: {{ include "vitrine.telegramWebhookUrl" . | quote }}
    WEBHOOK_HOST: "0.0.0.0"
    WEBHOOK_PORT: "8081"
    WEBHOOK_PATH: {{ .Values.telegram.webhookPath | quote }}
    WEBHOOK_TRUSTED_HEADER: {{ include "vitrine.trustedHeader" . | quote }}
    {{- end }}
  secretFiles:
    BOT_TOKEN: [{{ include "vitrine.telegramSecret" . | quote }}, bot-token]
    {{- if eq .Values.telegram.mode "webhook" }}
    WEBHOOK_SECRET: [{{ include "vitrine.telegramSecret" . | quote }}, webhook-secret]
    {{- end }}
  {{- if eq .Values.telegram.mode "webhook" }}
  port: 8081
  path: {{ .Values.telegram.webhookPath }}
  bodyLimit: 512k
  callers: [ingress, simulators]
  {{- end }}
  calls: [{{ include "vitrine.telegramUrl" . | quote }}]
  peers: telegram
  outside: []
  lag:
    - [GATEWAY, gateway]
    - [EVENTS, gateway]
    # What people send, by shard (contracts.topology.SHARDS).
    {{- range until 32 }}
    - [UPDATES, shard-{{ printf "%02d" . }}]
    {{- end }}
billing:
  database: true
  catalogue: true
  settings:
    SHOP_TIME_ZONE: {{ .Values.shopTimeZone | quote }}
    STARS: {{ .Values.payments.stars | quote }}
    {{- if .Values.payments.webhooks.enabled }}
    WEBHOOK_HOST: "0.0.0.0"
    WEBHOOK_PORT: "8081"
    WEBHOOK_TRUSTED_HEADER: {{ include "vitrine.trustedHeader" . | quote }}
    {{- end }}
    {{- if .Values.payments.cryptoPay.enabled }}
    CRYPTO_PAY_TEST_NET: {{ .Values.payments.cryptoPay.testNet | quote }}
    CRYPTO_PAY_API_URL: {{ include "vitrine.cryptoPayUrl" . | quote }}
    {{- end }}
    {{- if .Values.payments.yookassa.enabled }}
    YOOKASSA_SHOP_ID: {{ .Values.payments.yookassa.shopId | quote }}
    YOOKASSA_RETURN_URL: {{ .Values.payments.yookassa.returnUrl | quote }}
    YOOKASSA_API_URL: {{ include "vitrine.yookassaUrl" . | quote }}
    {{- end }}
  secretFiles:
    {{- if .Values.payments.stars }}
    PAYLOAD_SECRET: [{{ include "vitrine.paymentsSecret" . | quote }}, payload-secret]
    {{- end }}
    {{- if .Values.payments.webhooks.enabled }}
    WEBHOOK_SECRET: [{{ include "vitrine.paymentsSecret" . | quote }}, webhook-secret]
    {{- end }}
    {{- if .Values.payments.cryptoPay.enabled }}
    CRYPTO_PAY_TOKEN: [{{ include "vitrine.paymentsSecret" . | quote }}, crypto-pay-token]
    {{- end }}
    {{- if .Values.payments.yookassa.enabled }}
    YOOKASSA_SECRET: [{{ include "vitrine.paymentsSecret" . | quote }}, yookassa-secret]
    {{- end }}
    {{- with .Values.payments.extraSecretKeys.PAYLOAD_SECRETS_PREVIOUS }}
    PAYLOAD_SECRETS_PREVIOUS: [{{ include "vitrine.paymentsSecret" $ | quote }}, {{ . | quote }}]
    {{- end }}
  secrets:
    {{- range $name, $key := omit .Values.payments.extraSecretKeys "PAYLOAD_SECRETS_PREVIOUS" }}
    {{ $name }}: [{{ include "vitrine.paymentsSecret" $ | quote }}, {{ $key | quote }}]
    {{- end }}
  {{- if .Values.payments.webhooks.enabled }}
  port: 8081
  path: /pay
  bodyLimit: 64k
  callers: [ingress, simulators]
  {{- end }}
  calls:
    {{- if .Values.payments.cryptoPay.enabled }}
    - {{ include "vitrine.cryptoPayUrl" . | default "https://pay.crypt.bot" | quote }}
    {{- end }}
    {{- if .Values.payments.yookassa.enabled }}
    - {{ include "vitrine.yookassaUrl" . | default "https://api.yookassa.ru" | quote }}
    {{- end }}
  peers: payments
  outside: []
  lag: [[BILLING, billing], [EVENTS, billing]]
generator:
  database: false
  catalogue: true
  settings: {}
  secrets: {}
  outside: [comfyui]
vpn:
  database: true
  catalogue: true
  settings:
    TIME_ZONE: {{ .Values.shopTimeZone | quote }}
    {{- if .Values.vpn.links.enabled }}
    LINKS_HOST: "0.0.0.0"
    LINKS_PORT: "8081"
    LINKS_URL: {{ .Values.vpn.links.url | quote }}
    LINKS_TITLE: {{ .Values.vpn.links.title | quote }}
    LINKS_TRUSTED_HEADER: {{ include "vitrine.trustedHeader" . | quote }}
    {{- end }}
    {{- if .Values.vpn.nodes.secret }}
    NODES_FILE: /etc/vitrine/nodes/nodes.toml
    NODES_CERTIFICATE: /etc/vitrine/nodes/tls.crt
    NODES_KEY: /etc/vitrine/nodes/tls.key
    NODES_CA: /etc/vitrine/nodes/ca.crt
    {{- end }}
  secrets: {}
  {{- if .Values.vpn.nodes.secret }}
  secretVolumes:
    nodes: {{ .Values.vpn.nodes.secret }}
  {{- end }}
  {{- if .Values.vpn.links.enabled }}
  port: 8081
  path: /sub
  bodyLimit: 8k
  callers: [ingress]
  {{- end }}
  outside: [nodes]
  lag: [[VPN, vpn], [EVENTS, vpn]]
scheduler:
  database: true
  catalogue: false
  settings: {}
  secrets: {}
  outside: []
  lag: [[SCHEDULER, scheduler]]
{{- end -}}

{{/* Telegram itself, or the simulator. */}}
{{- define "vitrine.telegramUrl" -}}
{{- if and .Values.dev.simulators.enabled (not .Values.telegram.secret) -}}
{{- printf "http://%s:8081" (include "vitrine.host" (dict "root" . "part" "simulators")) -}}
{{- else -}}
{{- .Values.telegram.apiUrl -}}
{{- end -}}
{{- end -}}

{{- define "vitrine.telegramWebhookUrl" -}}
{{- if .Values.telegram.webhookUrl -}}
{{- .Values.telegram.webhookUrl -}}
{{- else if .Values.dev.simulators.enabled -}}
{{- printf "http://%s:8081%s" (include "vitrine.host" (dict "root" . "part" "gateway")) .Values.telegram.webhookPath -}}
{{- end -}}
{{- end -}}

{{/* A payment provider's address: given, the simulator's, or its own (empty). */}}
{{- define "vitrine.simulated" -}}
{{- if .given -}}
{{- .given -}}
{{- else if and .root.Values.dev.simulators.enabled (not .root.Values.payments.secret) -}}
{{- printf "http://%s:%d%s" (include "vitrine.host" (dict "root" .root "part" "simulators")) (int .port) .path -}}
{{- end -}}
{{- end -}}

{{- define "vitrine.cryptoPayUrl" -}}
{{- include "vitrine.simulated" (dict "root" . "given" .Values.payments.cryptoPay.apiUrl "port" 8082 "path" "") -}}
{{- end -}}

{{- define "vitrine.yookassaUrl" -}}
{{- include "vitrine.simulated" (dict "root" . "given" .Values.payments.yookassa.apiUrl "port" 8083 "path" "/v3") -}}
{{- end -}}

{{/* Where the proxy before us writes its client's address; none without an Ingress of ours. */}}
{{- define "vitrine.trustedHeader" -}}
{{- if .Values.ingress.enabled }}{{ .Values.ingress.trustedHeader }}{{ end -}}
{{- end -}}
