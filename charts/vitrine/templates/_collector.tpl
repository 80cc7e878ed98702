{{/*
Metrics keep the code's names, dots as underscores: alerts and dashboards are written with them. The
caller's address tells replicas apart.
*/}}
{{- define "vitrine.collectorConfig" -}}
receivers:
  otlp:
    protocols:
      http:
        endpoint: 0.0.0.0:4318
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: 80
    spike_limit_percentage: 20
  attributes/caller:
    actions:
      - {key: pod_ip, from_context: client.address, action: upsert}
  batch: {}
exporters:
  prometheus:
    endpoint: 0.0.0.0:8889
    add_metric_suffixes: false
    # Services tell theirs every 15 s: one that is gone is missed soon.
    metric_expiration: 2m
    resource_to_telemetry_conversion:
      enabled: true
  {{- if .Values.telemetry.collector.tracesEndpoint }}
  otlphttp:
    endpoint: {{ .Values.telemetry.collector.tracesEndpoint }}
  {{- else }}
  nop: {}
  {{- end }}
extensions:
  health_check:
    endpoint: 0.0.0.0:13133
service:
  extensions: [health_check]
  pipelines:
    metrics:
      receivers: [otlp]
      processors: [memory_limiter, attributes/caller, batch]
      exporters: [prometheus]
    traces:
      receivers: [otlp]
      processors: [memory_limiter, batch]
      exporters: [{{ ternary "otlphttp" "nop" (ne .Values.telemetry.collector.tracesEndpoint "") }}]
{{- end -}}
