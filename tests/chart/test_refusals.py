"""What the chart refuses, and that it says everything at once, in a sentence each."""

import json
import re

import pytest

from devstack.chart import render

EXTERNAL = ("ci/external-values.yaml",)
SCALING = ("ci/scaling-values.yaml",)


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
            EXTERNAL,
            ("ingress.enabled=true", 'ingress.host="shop.example.org"'),
            "ingress.enabled leads nowhere",
        ),
    ],
)
def test_contradictions_are_told(values, sets, sentence):
    said = sentences(render(values, sets=sets))

    assert len([each for each in said if sentence in each]) == 1, said


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
    return (f"comfyui.servers={json.dumps([{'name': 'a', 'pools': ['image'], **fields}])}",)


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        (server(), "needs either url or sidecar"),
        (server(url="http://c", sidecar={"image": "c"}), "needs either url or sidecar"),
        (server(sidecar={"gpus": 1}), "needs either image or simulated"),
        (server(url="http://c", hpa={"enabled": True}), "held by one process at a time"),
        (server(sidecar={"image": "c"}, replicas=1, keda={"enabled": True}), "exactly one"),
        (server(sidecar={"image": "c"}, keda={"enabled": False}), "exactly one"),
        (
            ("comfyui.servers=" + json.dumps([TWIN, TWIN]),),
            "names a twice",
        ),
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
        (('services.gateway.env={"bot-token": "1"}',), "bot-token"),
        (server(url="http://c", pools=["images"]), "pools"),
    ],
)
def test_the_schema_is_closed(sets, where):
    rendered = render(EXTERNAL, sets=sets)

    assert rendered.code != 0
    assert "don't meet the specifications of the schema" in rendered.text
    assert re.search(re.escape(where), rendered.text), rendered.text
