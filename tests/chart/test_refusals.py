"""What the chart refuses, and that it says everything at once, in a sentence each."""

import json
import re

import pytest

from devstack.chart import CHART, helm, render

EXTERNAL = ("ci/external-values.yaml",)
SCALING = ("ci/scaling-values.yaml",)
EVERYTHING = ("ci/everything-values.yaml",)


def sentences(rendered):
    assert rendered.code != 0, "it was rendered"
    return [line.strip() for line in rendered.text.splitlines() if line.startswith("  ")]


def test_nothing_given_names_each_missing_secret_and_url_once():
    said = sentences(render())

    subjects = [each.split(" is ")[0] for each in said]
    assert subjects == [
        "nats.url",
        "database.secrets.gateway",
        "database.secrets.billing",
        "database.secrets.vpn",
        "database.secrets.scheduler",
        "database.secrets.migrate",
        "telegram.secret",
        "payments.secret",
        "comfyui.servers",
    ]
    assert all(each.endswith(".") for each in said)


@pytest.mark.parametrize(
    ("taken", "subject"),
    [
        ("nats.url", "nats.url is missing"),
        ("database.secrets.vpn", "database.secrets.vpn is missing"),
        ("telegram.secret", "telegram.secret is missing"),
        ("payments.secret", "payments.secret is missing"),
    ],
)
def test_one_thing_missing_is_one_sentence(taken, subject):
    said = sentences(render(EXTERNAL, sets=(f'{taken}=""',)))

    assert len(said) == 1
    assert said[0].startswith(subject)


@pytest.mark.parametrize(
    ("values", "sets", "sentence"),
    [
        (EXTERNAL, ('telegram.mode="webhook"',), "telegram.webhookUrl is missing"),
        (EXTERNAL, ("vpn.links.enabled=true",), "vpn.links.url is missing"),
        (EXTERNAL, ("ingress.enabled=true",), "ingress.host is missing"),
        (EXTERNAL, ("certManager.enabled=true",), "certManager.issuer.name is missing"),
        (EXTERNAL, ("metrics.podMonitor.enabled=true",), "telemetry.collector.enabled is needed"),
        (EXTERNAL, ("cnpg.enabled=true", "dev.postgres.enabled=true"), "choose one Postgres"),
        (EXTERNAL, ("services.billing.replicas=null",), "billing: choose exactly one"),
        (EXTERNAL, ("services.billing.hpa.enabled=true",), "not replicas and hpa.enabled"),
        (SCALING, ("services.billing.hpa.enabled=true",), "not hpa.enabled and keda.enabled"),
        (SCALING, ('nats.monitoringEndpoint=""',), "nats.monitoringEndpoint is missing"),
        (SCALING, ('nats.monitoringEndpoint="nats:8222"',), "nats:8222 is no full name"),
        (EXTERNAL, ("services.generator.replicas=2",), "held by one process at a time"),
        (
            EXTERNAL,
            ("cnpg.enabled=true", 'cnpg.ownerSecret="owner"', 'database.secrets.migrate=""'),
            "with cnpg.ownerSecret CloudNativePG makes none",
        ),
        (
            EXTERNAL,
            ('telegram.mode="webhook"', 'telegram.webhookUrl="http://shop.example.org/telegram"'),
            "telegram.webhookUrl http://shop.example.org/telegram is no https address",
        ),
        (
            EXTERNAL,
            ('telegram.mode="webhook"', 'telegram.webhookUrl="https://shop.example.org/bot"'),
            "telegram.webhookUrl ends in /bot, not in telegram.webhookPath /telegram",
        ),
        (EXTERNAL, ("metrics.rules.enabled=true",), "needed with metrics.rules.enabled"),
        (
            EVERYTHING,
            ('telemetry.otlpEndpoint="http://otel:4318"',),
            "telemetry.otlpEndpoint and telemetry.collector.enabled are both given",
        ),
        (EVERYTHING, ("cnpg.instances=2",), "cnpg.instances 2 with cnpg.durability required"),
        (SCALING, ("services.gateway.hpa.min=6",), "gateway: hpa.min 6 is more than hpa.max 5"),
        (SCALING, ("services.billing.keda.min=6",), "billing: keda.min 6 is more than keda.max 5"),
        (
            EVERYTHING,
            ('vpn.links.url="https://links.example.org"',),
            "vpn.links.url names links.example.org, but the Ingress answers to ingress.host",
        ),
        (
            EVERYTHING,
            ('telegram.webhookUrl="https://bot.example.org/telegram"',),
            "telegram.webhookUrl names bot.example.org, but the Ingress answers to",
        ),
        (EVERYTHING, ('vpn.links.url="https://shop.example.org/v"',), "vpn.links.url https://"),
        (
            EVERYTHING,
            ('telegram.webhookPath="/pay"', 'telegram.webhookUrl="https://shop.example.org/pay"'),
            "telegram.webhookPath /pay is below /pay",
        ),
        (
            EXTERNAL,
            ('commonLabels={"app.kubernetes.io/component": "shop", "team": "a"}',),
            "commonLabels must not have app.kubernetes.io/component",
        ),
        (EXTERNAL, ('commonLabels={"vitrine/job": "x"}',), "commonLabels must not have vitrine"),
        (EXTERNAL, ('nats.url="tls://nats.example.org"',), "networkPolicy.nats is empty"),
        (
            EXTERNAL,
            ('telemetry.otlpEndpoint="https://otel.example.org"',),
            "networkPolicy.telemetry is empty, and telemetry.otlpEndpoint https://otel.example.org",
        ),
        (
            EVERYTHING,
            ('telemetry.collector.tracesEndpoint="https://tempo.example.org"',),
            "telemetry.collector.tracesEndpoint https://tempo.example.org says neither",
        ),
        (
            ("ci/external-secrets-values.yaml",),
            ("networkPolicy.comfyui=[]",),
            "networkPolicy.comfyui is empty, and comfyui.servers.gpu-1.url",
        ),
        (
            EXTERNAL,
            ("ingress.enabled=true", 'ingress.host="shop.example.org"'),
            "ingress.enabled leads nowhere",
        ),
    ],
)
def test_contradictions_are_told(values, sets, sentence):
    said = sentences(render(values, sets=sets))

    assert len([each for each in said if sentence in each]) == 1, said


ENV = {
    "BOT_TOKEN": "is a secret",
    "DATABASE_URL": "is a secret",
    "PAYLOAD_SECRETS_PREVIOUS": "is a secret",
    "HEALTH_PORT": "is given by the chart",
    "NATS_URL": "is given by the chart",
    "SHUTDOWN_GRACE": "is given by the chart",
    "TELEGRAM_API_URL": "is given by the chart",
}


def test_what_the_chart_gives_and_what_is_secret_is_not_for_env():
    free = {"SENDS_PER_SECOND": 20, "LOG_LEVEL": "debug"}
    given = json.dumps(dict.fromkeys(ENV, "x") | free)

    said = sentences(render(EXTERNAL, sets=(f"services.gateway.env={given}",)))

    assert len(said) == len(ENV)
    for name, why in ENV.items():
        assert [each for each in said if f"gateway: env.{name} {why}" in each], name
    (alone,) = sentences(render(EXTERNAL, sets=server(url="http://c", env={"POOLS": "video"})))
    assert alone.startswith("generator-a: env.POOLS is given by the chart")


@pytest.mark.parametrize("release", ["my.shop", "1shop"])
def test_a_release_whose_services_could_not_be_called_so_is_refused(release):
    words = ("template", release, str(CHART), "--values", str(CHART / EXTERNAL[0]))

    done = helm(*words)

    assert done.returncode != 0
    assert "a Service's begins with a letter and has no dot: give fullnameOverride." in done.stderr
    assert helm(*words, "--set", "fullnameOverride=shop").returncode == 0


@pytest.mark.parametrize(
    ("taken", "where"),
    [
        ("services.gateway.podAnnotations", "'/services/gateway': missing property 'podAnn"),
        ("services.billing.hpa", "'/services/billing': missing property 'hpa'"),
        ("telemetry.collector", "'/telemetry': missing property 'collector'"),
        ("ingress", "missing property 'ingress'"),
        ("networkPolicy.dns", "'/networkPolicy': missing property 'dns'"),
    ],
)
def test_a_value_taken_away_is_a_sentence_and_no_trace_of_a_template(taken, where):
    rendered = render(EXTERNAL, sets=(f"{taken}=null",))

    assert rendered.code != 0
    assert where in rendered.text
    assert "executing" not in rendered.text


@pytest.mark.parametrize("service", ["gateway", "billing", "vpn", "scheduler"])
def test_only_generators_may_go_to_none(service):
    keda = '{"enabled": true, "min": 0}'
    sets = (f"services.{service}.keda={keda}", f"services.{service}.replicas=null")

    said = sentences(render(SCALING, sets=(*sets, f"services.{service}.hpa.enabled=false")))

    assert len(said) == 1
    assert said[0].startswith(f"{service}: keda.min is 0")


def test_alerts_may_be_read_from_a_collector_of_ones_own():
    sets = ('telemetry.otlpEndpoint="http://otel:4318"', "metrics.rules.enabled=true")

    assert render(EXTERNAL, sets=sets).code == 0


TWIN = {"name": "a", "pools": ["image"], "url": "http://c"}


def server(**fields):
    return servers({"name": "a", "pools": ["image"], **fields})


def servers(*entries):
    return (f"comfyui.servers={json.dumps(entries)}",)


def test_servers_of_one_host_on_two_ports_are_two():
    entries = servers(TWIN, {**TWIN, "name": "b", "url": "http://c:8189"})

    assert render(EXTERNAL, sets=entries).code == 0


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (server(), "needs either url or sidecar"),
        (server(url="http://c", sidecar={"image": "c"}), "needs either url or sidecar"),
        (server(sidecar={"gpus": 1}), "needs either image or simulated"),
        (server(url="http://c", hpa={"enabled": True}), "held by one process at a time"),
        (server(sidecar={"image": "c"}, replicas=1, keda={"enabled": True}), "exactly one"),
        (server(sidecar={"image": "c"}, keda={"enabled": False}), "exactly one"),
        (servers(TWIN, TWIN), "names a twice"),
        (servers(TWIN, {**TWIN, "name": "b", "url": "http://C:80/"}), "a and b have one url"),
        (server(sidecar={"image": "c", "port": 8080}), "sidecar.port 8080 is where the generator"),
    ],
)
def test_servers_that_make_no_sense_are_refused(sets, sentence):
    said = sentences(render(EXTERNAL, sets=sets))

    assert any(sentence in each for each in said), said


@pytest.mark.parametrize(
    ("sets", "where"),
    [
        (("natz={}",), "natz"),
        (("services.billing.replica=1",), "replica"),
        (("services.shop={}",), "shop"),
        (("image.tagg=1",), "tagg"),
        (('logLevel="loud"',), "logLevel"),
        (("services.gateway.replicas=-1",), "minimum"),
        (('nats.url="nats://plain:4222"',), "nats/url"),
        (('nats.url="tls://nats:abc"',), "nats/url"),
        (('telegram.apiUrl="https://u:p@api.example.org"',), "telegram/apiUrl"),
        (("networkPolicy.dns=[]",), "networkPolicy/dns"),
        (('networkPolicy.nats=[{"ipBlock": {}}]',), "networkPolicy/nats"),
        (('metrics.rules.runbookUrl="docs/runbooks/"',), "runbookUrl"),
        (('services.gateway.env={"bot-token": "1"}',), "bot-token"),
        (server(url="http://c", pools=["images"]), "pools"),
    ],
)
def test_the_schema_is_closed(sets, where):
    rendered = render(EXTERNAL, sets=sets)

    assert rendered.code != 0
    assert "don't meet the specifications of the schema" in rendered.text
    assert re.search(re.escape(where), rendered.text), rendered.text
