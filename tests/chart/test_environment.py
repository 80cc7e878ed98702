"""Every rendered variable is a setting of its service, which accepts what it is given."""

import importlib

import pytest
from pydantic import AliasChoices

from chassis import bootstrap
from devstack.chart import CHART, pods, render, values_files

SERVICES = ("gateway", "billing", "generator", "vpn", "scheduler")
# What a Secret would hold: such that every validator is content.
SECRETS = {
    "url": "postgresql://somebody:secret@postgres:5432/vitrine",
    "bot-token": "1000000001:a-token-of-the-right-length-for-tests",
}
ANY_SECRET = "a-secret-with-more-than-16-characters"


def settings_of(service):
    return importlib.import_module(f"{service}.settings").Settings


def migration_settings_of(service):
    """What `migrate` reads; a service whose settings need a secret has fewer for that."""
    module = importlib.import_module(f"{service}.settings")
    return getattr(module, "MigrationSettings", module.Settings)


def names_of(service):
    """Every variable a service listens to."""
    found = set()
    for name, field in settings_of(service).model_fields.items():
        found.add(f"{service}_{name}".upper())
        if isinstance(field.validation_alias, AliasChoices):
            found |= {str(each) for each in field.validation_alias.choices}
    return found


def environments():
    """Service, where it was rendered, and its variables; of migrations too."""
    for file in values_files():
        rendered = render((str(file.relative_to(CHART)),))
        assert rendered.code == 0, rendered.text
        for pod in pods(rendered.objects()):
            for container in pod.spec["containers"]:
                image = container["image"].rpartition("/")[2].split(":")[0].split("@")[0]
                service = image.removeprefix("vitrine-")
                words = container.get("args", [])
                if service in SERVICES and "chassis.bootstrap" not in words:
                    yield service, f"{file.name} {pod.name}", pod, container


def variables_of(container, pod):
    found = {}
    for each in container.get("env", []):
        source = each.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[each["name"]] = SECRETS.get(source["secretKeyRef"]["key"], ANY_SECRET)
        elif "fieldRef" in source:
            found[each["name"]] = pod.owner["metadata"]["name"]
        else:
            found[each["name"]] = each["value"]
    return found


def test_every_service_and_every_migration_is_looked_at():
    seen = {(service, pod.labels.get("vitrine/job", "")) for service, _, pod, _ in environments()}

    with_database = {(service, "migrate") for service in SERVICES if service != "generator"}
    assert seen == {(service, "") for service in SERVICES} | with_database


def test_every_variable_is_a_setting():
    for service, where, _, container in environments():
        unknown = {each["name"] for each in container["env"]} - names_of(service)
        assert not unknown, f"{where}: no setting of {service} is called {sorted(unknown)}"


def test_no_variable_is_given_twice():
    for _, where, _, container in environments():
        names = [each["name"] for each in container["env"]]
        assert len(names) == len(set(names)), where


def test_settings_accept_what_they_are_given(monkeypatch):
    for service, where, pod, container in environments():
        with monkeypatch.context() as environment:
            for name, value in variables_of(container, pod).items():
                environment.setenv(name, value)
            migrating = "migrate" in container.get("args", [])
            made = (migration_settings_of if migrating else settings_of)(service)()
        assert made.log_format == "json", where


def test_files_a_setting_names_are_mounted():
    for _, where, _, container in environments():
        mounted = [each["mountPath"] for each in container["volumeMounts"]]
        for each in container["env"]:
            value = str(each.get("value", ""))
            if value.startswith("/etc/vitrine/"):
                held = any(value == path or value.startswith(f"{path}/") for path in mounted)
                assert held, f"{where}: {each['name']}={value} is in no mounted folder"


def test_bootstrap_is_told_by_its_own_names():
    rendered = render(("values-large.yaml",))
    (pod,) = [each for each in pods(rendered.objects()) if each.name == "Job/bootstrap"]

    given = {each["name"] for each in pod.spec["containers"][0]["env"]}

    known = {"NATS_URL", "NATS_TLS_DIR", "NATS_SEED_FILE"}
    known |= {f"VITRINE_{name}".upper() for name in bootstrap.Settings.model_fields}
    assert given <= known
    assert {"NATS_URL", "VITRINE_REPLICAS", "VITRINE_MAX_BYTES"} <= given


def test_bootstrap_understands_its_limits(monkeypatch):
    rendered = render(("values-large.yaml",))
    (pod,) = [each for each in pods(rendered.objects()) if each.name == "Job/bootstrap"]
    for each in pod.spec["containers"][0]["env"]:
        monkeypatch.setenv(each["name"], each["value"])

    made = bootstrap.Settings()

    assert made.replicas == 3
    assert made.max_bytes == {"OBJ_media": 214_748_364_800, "EVENTS": 17_179_869_184}


@pytest.mark.parametrize("service", SERVICES)
def test_a_value_of_the_installation_wins(service):
    sets = (f'services.{service}.env={{"LOG_LEVEL": "error"}}',)
    rendered = render(("ci/external-values.yaml",), sets=sets)

    for pod in pods(rendered.objects()):
        if pod.labels.get("vitrine/service") == service:
            given = variables_of(pod.spec["containers"][0], pod)
            assert given[f"{service.upper()}_LOG_LEVEL"] == "error"
            return
    pytest.fail(f"no pod of {service}")


def test_each_generator_beside_comfyui_is_a_server_of_its_own():
    rendered = render(("ci/scaling-values.yaml",))
    names = {}
    for pod in pods(rendered.objects()):
        for each in pod.spec["containers"][0].get("env", []):
            if each["name"] == "GENERATOR_SERVER_NAME":
                names[pod.name] = each.get("value") or each["valueFrom"]["fieldRef"]["fieldPath"]

    assert names == {
        "Deployment/generator-elsewhere": "elsewhere",
        "Deployment/generator-image": "metadata.name",
        "Deployment/generator-both": "metadata.name",
    }


def test_numbers_reach_a_service_as_they_were_written():
    env = '{"UPDATE_BYTES_MAX": 1048576, "SENDS_PER_SECOND": 0.5, "TELEGRAM_LOCAL_MODE": true}'
    rendered = render(("ci/external-values.yaml",), sets=(f"services.gateway.env={env}",))
    container = rendered.of("Deployment")["gateway"]["spec"]["template"]["spec"]["containers"][0]
    given = {each["name"]: each.get("value") for each in container["env"]}

    assert given["GATEWAY_UPDATE_BYTES_MAX"] == "1048576"
    assert given["GATEWAY_SENDS_PER_SECOND"] == "0.5"
    assert given["GATEWAY_TELEGRAM_LOCAL_MODE"] == "true"
    chat = render(("ci/everything-values.yaml",)).of("Deployment")["gateway"]
    shown = {each["name"]: each.get("value") for each in _env(chat)}
    assert shown["GATEWAY_ADMIN_CHAT_ID"] == "-1001234567890"


def _env(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]["env"]
