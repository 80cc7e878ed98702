"""The operator's desk: nothing runs by itself, and its pod knows every command line."""

import pytest

from devstack.chart import pods, render
from vitrine_tools import sql
from vitrine_tools.settings import Databases, Settings

EVERYTHING = ("ci/everything-values.yaml",)
EXTERNAL = ("ci/external-values.yaml",)


def desk(values=EXTERNAL, sets=()):
    rendered = render(values, sets=sets)
    assert rendered.code == 0, rendered.text
    return rendered.of("CronJob")["operator"]


def variables(values=EXTERNAL, sets=()):
    (container,) = desk(values, sets)["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    return {each["name"]: each for each in container["env"]}


def test_nothing_runs_until_somebody_asks_and_it_ends_by_itself():
    spec = desk()["spec"]

    assert spec["suspend"] is True
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 3600
    assert job["backoffLimit"] == 0
    assert job["ttlSecondsAfterFinished"] <= 60
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert (
        desk(sets=("operator.lifetimeSeconds=600",))["spec"]["jobTemplate"]["spec"][
            "activeDeadlineSeconds"
        ]
        == 600
    )


def test_it_is_the_operator_and_no_service():
    (pod,) = pods([desk()])
    secrets = {
        volume["secret"]["secretName"] for volume in pod.spec["volumes"] if "secret" in volume
    }

    assert pod.labels["vitrine/job"] == "operator"
    assert "vitrine/service" not in pod.labels
    assert secrets == {"vitrine-nats-operator", "vitrine-signing-operator"}
    assert pod.spec["containers"][0]["image"].partition(":")[0].endswith("vitrine-operator")
    actor = variables()["LOGNAME"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert actor == "metadata.labels['batch.kubernetes.io/job-name']"


@pytest.mark.parametrize("values", [EXTERNAL, EVERYTHING, ("values-dev.yaml",)])
def test_every_command_line_finds_nats_and_every_login(monkeypatch, values):
    found = variables(values)
    for name, each in found.items():
        monkeypatch.setenv(name, each.get("value", "postgresql://x"))

    settings = Settings()
    assert settings.nats_url.startswith("tls://")
    assert settings.identity().tls_dir == "/etc/vitrine/nats"
    assert settings.identity().seed_file == "/etc/vitrine/nats/seed"
    assert settings.signing_key_file == "/etc/vitrine/signing/signing.key"
    for program in ("BILLING", "VPN"):
        for name in ("NATS_URL", "NATS_TLS_DIR", "NATS_SEED_FILE", "SIGNING_KEY_FILE"):
            assert found[f"{program}_{name}"]["value"] == found[f"VITRINE_{name}"]["value"]
    for service in sql.SERVICES:
        assert Databases().url_of(service) == "postgresql://x"
        assert "secretKeyRef" in found[f"{service.upper()}_DATABASE_URL"]["valueFrom"]
    assert not any("MIGRATION" in name for name in found)


def test_ticks_are_those_of_the_schedulers_settings():
    sets = ('services.scheduler.env={"AUDIT_EVERY": 7200}',)

    assert variables(sets=sets)["SCHEDULER_AUDIT_EVERY"]["value"] == "7200"


def test_without_signatures_there_is_no_key_to_mount():
    sets = ('signing.mode="off"',)
    spec = desk(sets=sets)["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert [volume["name"] for volume in spec["volumes"]] == ["tmp", "nats"]
    assert "VITRINE_SIGNING_KEY_FILE" not in variables(sets=sets)
    assert variables(sets=sets)["VITRINE_SIGNATURES"]["value"] == "off"


def test_it_can_be_left_out():
    rendered = render(EXTERNAL, sets=("operator.enabled=false",))

    assert rendered.of("CronJob") == {}
    assert "operator" not in rendered.of("NetworkPolicy")
