"""Secrets reach a process as files that the kubelet writes anew, and only who needs them."""

import pytest

from devstack.chart import CHART, pods, render, values_files

EVERYTHING = ("ci/everything-values.yaml",)
FOLDER = "/etc/vitrine/secrets"
ALLOWED_MODE = 0o440


def service_pods(files):
    for pod in pods(render(files).objects()):
        if "vitrine/service" in pod.labels:
            yield pod


def variables(pod):
    return {each["name"]: each for each in pod.containers[0].get("env", [])}


def from_secrets(pod):
    return {
        name for name, each in variables(pod).items() if "secretKeyRef" in each.get("valueFrom", {})
    }


def files_of(pod):
    """Path in the container -> (Secret, key)."""
    (volume,) = [each for each in pod.spec["volumes"] if each["name"] == "secrets"]
    assert volume["projected"]["defaultMode"] == ALLOWED_MODE
    return {
        f"{FOLDER}/{item['path']}": (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


@pytest.mark.parametrize("file", values_files(), ids=lambda file: file.name)
def test_each_file_a_process_is_told_of_is_in_its_volume_and_nothing_else(file):
    for pod in service_pods((str(file.relative_to(CHART)),)):
        told = {
            each["value"]
            for each in variables(pod).values()
            if str(each.get("value", "")).startswith(f"{FOLDER}/")
        }
        mounts = [each for each in pod.containers[0]["volumeMounts"] if each["name"] == "secrets"]
        if not told:
            assert not mounts, pod.name
            continue
        assert set(files_of(pod)) == told, pod.name
        assert mounts == [{"name": "secrets", "mountPath": FOLDER, "readOnly": True}], pod.name


def test_no_mount_of_a_service_is_one_that_never_changes():
    for pod in service_pods(EVERYTHING):
        for mount in pod.containers[0]["volumeMounts"]:
            assert not {"subPath", "subPathExpr"} & set(mount), f"{pod.name}: {mount}"


def test_the_gateways_secrets_are_files_and_no_variable_holds_one():
    (gateway,) = [
        pod for pod in service_pods(EVERYTHING) if pod.labels["vitrine/service"] == "gateway"
    ]
    found = variables(gateway)

    assert from_secrets(gateway) == set()
    assert found["GATEWAY_BOT_TOKEN_FILE"]["value"] == f"{FOLDER}/bot-token"
    assert found["GATEWAY_WEBHOOK_SECRET_FILE"]["value"] == f"{FOLDER}/webhook-secret"
    assert {key for _, key in files_of(gateway).values()} == {"bot-token", "webhook-secret"}


def test_billings_secrets_are_files_and_no_variable_holds_one():
    (billing,) = [
        pod for pod in service_pods(EVERYTHING) if pod.labels["vitrine/service"] == "billing"
    ]

    assert from_secrets(billing) == set()
    assert {key for _, key in files_of(billing).values()} == {
        "payload-secret",
        "payload-secrets-previous",
        "webhook-secret",
        "crypto-pay-token",
        "yookassa-secret",
    }


def test_a_migration_knows_its_logins_and_nothing_that_is_sold_with():
    for pod in pods(render(EVERYTHING).objects()):
        if pod.labels.get("vitrine/job") != "migrate":
            continue
        endings = {name.partition("_")[2] for name in from_secrets(pod)}
        assert endings == {"DATABASE_URL", "MIGRATION_DATABASE_URL"}, pod.name
        assert [each["name"] for each in pod.spec["volumes"]] == ["tmp"], pod.name
