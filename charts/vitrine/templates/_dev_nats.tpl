{{/* What the single NATS of dev.nats is told. Takes {accounts}: the file with the users. */}}
{{- define "vitrine.devNatsConfig" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 8MB
max_pending: 64MB
tls {
  cert_file: "/etc/vitrine/nats/tls.crt"
  key_file: "/etc/vitrine/nats/tls.key"
  ca_file: "/etc/vitrine/nats/ca.crt"
  verify: true
  min_version: "1.3"
}
jetstream {
  store_dir: "/data"
  max_mem: 64MB
  # Streams reserve what they may grow to; a laptop's disk is not asked for it.
  max_file: 64GB
  sync_interval: always
}
# Paths are read from where this file lies.
include "../nats/{{ .accounts }}"
{{- end -}}
