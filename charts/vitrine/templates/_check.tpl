{{/* Everything that is missing or contradicts itself, all at once, one sentence each. */}}
{{- define "vitrine.check" -}}
{{- $faults := concat
    (include "vitrine.checkOutside" . | fromYaml).list
    (include "vitrine.checkServers" . | fromYaml).list
    (include "vitrine.checkScaling" . | fromYaml).list
    (include "vitrine.checkOptions" . | fromYaml).list
    (include "vitrine.checkNames" . | fromYaml).list
    (include "vitrine.checkEnv" . | fromYaml).list
    (include "vitrine.checkPublic" . | fromYaml).list
    (include "vitrine.checkPeers" . | fromYaml).list
-}}
{{- if $faults -}}
{{- fail (printf "\n\n  %s\n" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* Secrets and addresses nobody can guess. */}}
{{- define "vitrine.checkOutside" -}}
{{- $root := . -}}
{{- $list := list -}}
{{- if not (include "vitrine.natsUrl" .) -}}
{{- $list = append $list "nats.url is missing: where NATS answers, such as tls://nats.nats.svc.cluster.local:4222 (a laptop: dev.nats.enabled)." -}}
{{- end -}}
{{- range $owner := list "gateway" "billing" "vpn" "scheduler" "migrate" -}}
{{- if not (include "vitrine.databaseSecret" (dict "root" $root "owner" $owner)) -}}
{{- $other := ternary "with cnpg.ownerSecret CloudNativePG makes none" "a laptop: dev.postgres.enabled" (and $root.Values.cnpg.enabled (eq $owner "migrate")) -}}
{{- $list = append $list (printf "database.secrets.%s is missing: the name of an existing Secret whose key %q holds a postgresql:// URL (%s)." $owner $root.Values.database.key $other) -}}
{{- end -}}
{{- end -}}
{{- if not (include "vitrine.telegramSecret" .) -}}
{{- $list = append $list "telegram.secret is missing: the name of an existing Secret with the key bot-token, and webhook-secret in webhook mode (a laptop: dev.simulators.enabled)." -}}
{{- end -}}
{{- if not (include "vitrine.paymentsSecret" .) -}}
{{- $list = append $list "payments.secret is missing: the name of an existing Secret with the key payload-secret, and one key for each provider that is switched on (a laptop: dev.simulators.enabled)." -}}
{{- end -}}
{{- if not .Values.comfyui.servers -}}
{{- $list = append $list "comfyui.servers is empty: at least one entry with the url of a ComfyUI server, or with a sidecar." -}}
{{- end -}}
{{- if and (eq .Values.telegram.mode "webhook") (not (include "vitrine.telegramWebhookUrl" .)) -}}
{{- $list = append $list "telegram.webhookUrl is missing: in webhook mode the public https address that Telegram calls, path included." -}}
{{- end -}}
{{- if eq .Values.telegram.mode "webhook" -}}
{{- with .Values.telegram.webhookUrl -}}
{{- $url := urlParse . -}}
{{- if ne $url.scheme "https" -}}
{{- $list = append $list (printf "telegram.webhookUrl %s is no https address: Telegram calls no other." .) -}}
{{- end -}}
{{- if ne $url.path $root.Values.telegram.webhookPath -}}
{{- $list = append $list (printf "telegram.webhookUrl ends in %s, not in telegram.webhookPath %s, where gateway and the Ingress listen." ($url.path | default "nothing") $root.Values.telegram.webhookPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.vpn.links.enabled (not .Values.vpn.links.url) -}}
{{- $list = append $list "vpn.links.url is missing: the public address of subscription links, needed with vpn.links.enabled." -}}
{{- end -}}
{{- if .Values.payments.yookassa.enabled -}}
{{- range $key := list "shopId" "returnUrl" -}}
{{- if not (get $root.Values.payments.yookassa $key) -}}
{{- $list = append $list (printf "payments.yookassa.%s is missing: needed with payments.yookassa.enabled." $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{- define "vitrine.checkServers" -}}
{{- $list := list -}}
{{- $seen := dict -}}
{{- $urls := dict -}}
{{- range $server := .Values.comfyui.servers -}}
{{- with .url -}}
{{- $same := printf "%s:%s%s" (include "vitrine.hostOf" .) (include "vitrine.portOf" .) (trimSuffix "/" (urlParse .).path) -}}
{{- with get $urls $same -}}
{{- $list = append $list (printf "comfyui.servers.%s and %s have one url: each would take the other's jobs for strangers'; one entry holds a server." . $server.name) -}}
{{- end -}}
{{- $urls = set $urls $same $server.name -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- $list = append $list (printf "comfyui.servers names %s twice: each server has a name of its own." .name) -}}
{{- end -}}
{{- $seen = set $seen .name true -}}
{{- if eq (empty .url) (empty .sidecar) -}}
{{- $list = append $list (printf "comfyui.servers.%s needs either url or sidecar: a server elsewhere, or ComfyUI beside its generator." .name) -}}
{{- end -}}
{{- with .sidecar -}}
{{- if eq (empty .image) (not .simulated) -}}
{{- $list = append $list "comfyui.servers[].sidecar needs either image or simulated." -}}
{{- end -}}
{{- if eq (int .port) 8080 -}}
{{- $list = append $list (printf "comfyui.servers.%s.sidecar.port 8080 is where the generator beside it answers its probes: choose another." $server.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{- define "vitrine.checkScaling" -}}
{{- $root := . -}}
{{- $list := list -}}
{{- $keda := false -}}
{{- range $workload := (include "vitrine.workloads" . | fromYaml).list -}}
{{- $chosen := list -}}
{{- if not (kindIs "invalid" .spec.replicas) }}{{ $chosen = append $chosen "replicas" }}{{ end -}}
{{- if .spec.hpa.enabled }}{{ $chosen = append $chosen "hpa.enabled" }}{{ end -}}
{{- if .spec.keda.enabled }}{{ $chosen = append $chosen "keda.enabled" }}{{ $keda = true }}{{ end -}}
{{- if ne (len $chosen) 1 -}}
{{- $list = append $list (printf "%s: choose exactly one of replicas, hpa.enabled and keda.enabled, not %s (replicas: null takes the fixed number away)." .name (ternary (join " and " $chosen) "none" (gt (len $chosen) 0))) -}}
{{- end -}}
{{- if and .spec.keda.enabled (lt (int .spec.keda.min) 1) (ne .service "generator") -}}
{{- $list = append $list (printf "%s: keda.min is 0, but only generators may go to none: people, providers and timers find nobody there." .name) -}}
{{- end -}}
{{- range $way := list "hpa" "keda" -}}
{{- $limits := get $workload.spec $way -}}
{{- if and $limits.enabled (gt (int $limits.min) (int $limits.max)) -}}
{{- $list = append $list (printf "%s: %s.min %d is more than %s.max %d." $workload.name $way (int $limits.min) $way (int $limits.max)) -}}
{{- end -}}
{{- end -}}
{{- if and .server (not .server.sidecar) (or .spec.hpa.enabled .spec.keda.enabled (gt (int .spec.replicas) 1)) -}}
{{- $list = append $list (printf "%s: a server given by url is held by one process at a time, so only replicas 0 or 1 make sense; add entries, or use a sidecar." .name) -}}
{{- end -}}
{{- end -}}
{{- $endpoint := include "vitrine.natsMonitoring" . -}}
{{- if and $keda (not $endpoint) -}}
{{- $list = append $list "nats.monitoringEndpoint is missing: KEDA reads queue depths there, such as nats-headless.nats.svc.cluster.local:8222." -}}
{{- else if and $keda (not (regexMatch "^[^/:]+\\.[^/:]+\\.svc\\.[^/:]+:[0-9]+$" $endpoint)) -}}
{{- $list = append $list (printf "nats.monitoringEndpoint %s is no full name: KEDA resolves it from its own namespace, so it is <service>.<namespace>.svc.%s:8222." $endpoint .Values.clusterDomain) -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}

{{- define "vitrine.checkOptions" -}}
{{- $list := list -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- $list = append $list "ingress.host is missing: the public name under which webhooks and subscription links are reached." -}}
{{- end -}}
{{- if and .Values.certManager.enabled (not .Values.certManager.issuer.name) -}}
{{- $list = append $list "certManager.issuer.name is missing: the Issuer that signs the certificates of NATS and its clients." -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled (not .Values.telemetry.collector.enabled) -}}
{{- $list = append $list "telemetry.collector.enabled is needed with metrics.podMonitor.enabled: services tell their metrics by OTLP, and the collector is what Prometheus reads." -}}
{{- end -}}
{{- if and .Values.telemetry.otlpEndpoint .Values.telemetry.collector.enabled -}}
{{- $list = append $list "telemetry.otlpEndpoint and telemetry.collector.enabled are both given: services tell the former alone, and the latter would hear nothing." -}}
{{- end -}}
{{- if and .Values.cnpg.enabled (eq (int .Values.cnpg.instances) 2) (eq .Values.cnpg.durability "required") -}}
{{- $list = append $list "cnpg.instances 2 with cnpg.durability required: nothing could be sold while either restarts. Three instances, or cnpg.durability: preferred." -}}
{{- end -}}
{{- if and .Values.metrics.rules.enabled (not (include "vitrine.otlpEndpoint" .)) -}}
{{- $list = append $list "telemetry.collector.enabled or telemetry.otlpEndpoint is needed with metrics.rules.enabled: without a collector there is no metric to alert by." -}}
{{- end -}}
{{- if .Values.ingress.enabled -}}
{{- $behind := false -}}
{{- range include "vitrine.services" . | fromYaml -}}
{{- if has "ingress" (.callers | default list) }}{{ $behind = true }}{{ end -}}
{{- end -}}
{{- if not $behind -}}
{{- $list = append $list "ingress.enabled leads nowhere: nothing is behind it without telegram.mode webhook, payments.webhooks.enabled or vpn.links.enabled." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dev.postgres.enabled .Values.cnpg.enabled -}}
{{- $list = append $list "dev.postgres.enabled and cnpg.enabled are both on: choose one Postgres." -}}
{{- end -}}
{{- dict "list" $list | toYaml -}}
{{- end -}}
