"""What is rendered where: golden files, and what must and must not be there."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from devstack.chart import CHART, RELEASE, RUN, render, values_files

GOLDEN = Path(__file__).with_name("golden")
WRITE = os.environ.get("VITRINE_WRITE_GOLDEN") == "1"
"""Set it to write the golden files anew; then read what changed, line by line."""
FILES = [str(file.relative_to(CHART)) for file in values_files()]
DEV, EXTERNAL = ("values-dev.yaml",), ("ci/external-values.yaml",)
EVERYTHING = ("ci/everything-values.yaml",)


def compare(name, text):
    path = GOLDEN / name
    if WRITE:
        path.write_text(text)
    assert path.exists(), f"{name} is missing: VITRINE_WRITE_GOLDEN=1 writes it"
    assert text == path.read_text(), f"{name} differs: read it, then VITRINE_WRITE_GOLDEN=1"


def test_the_inventory_of_every_rendering():
    lines = []
    for file in FILES:
        rendered = render((file,))
        assert rendered.code == 0, rendered.text
        lines.append(f"{file}:")
        lines += sorted(
            f"  {each['kind']} {RUN.sub('-<run>', each['metadata']['name'])}"
            for each in rendered.objects()
        )

    compare("inventory.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "values", "kind", "which"),
    [
        ("gateway-deployment.yaml", EXTERNAL, "Deployment", "gateway"),
        (
            "generator-gpu-deployment.yaml",
            ("ci/scaling-values.yaml",),
            "Deployment",
            "generator-image",
        ),
        (
            "generator-scaledobject.yaml",
            ("ci/scaling-values.yaml",),
            "ScaledObject",
            "generator-both",
        ),
        ("billing-networkpolicy.yaml", EXTERNAL, "NetworkPolicy", "billing"),
        ("billing-migration.yaml", EXTERNAL, "Job", "migrate-billing"),
        ("alerts.yaml", EVERYTHING, "PrometheusRule", RELEASE),
    ],
)
def test_golden_objects(name, values, kind, which):
    found = render(values).of(kind)[which]

    compare(name, yaml.safe_dump(found, sort_keys=False, width=120))


def test_a_production_rendering_holds_no_secret_and_no_stand_in():
    for file in FILES:
        if file == DEV[0]:
            continue
        rendered = render((file,))
        assert rendered.of("Secret") == {}, file
        assert rendered.of("StatefulSet") == {}, file
        assert "simulat" not in rendered.text, file


def test_a_laptop_gets_everything_a_platform_needs():
    rendered = render(DEV)

    assert set(rendered.of("StatefulSet")) == {"nats", "postgres"}
    assert set(rendered.of("Deployment")) == {
        *("gateway", "billing", "vpn", "scheduler"),
        *("generator-simulated", "simulators"),
    }
    assert len(rendered.of("Job")) == 5
    assert set(rendered.of("Pod")) == {"test-order"}


def test_secrets_of_a_laptop_are_those_the_services_ask_for():
    rendered = render(DEV)
    made = {name: set(each["stringData"]) for name, each in rendered.of("Secret").items()}
    for each in rendered.objects():
        for asked in _asked(each):
            name = asked["name"].removeprefix(f"{RELEASE}-")
            assert asked["key"] in made[name], f"{each['metadata']['name']}: {asked}"


def test_an_installation_can_have_another_name():
    sets = ('fullnameOverride="shop"',)
    names = {each["metadata"]["name"] for each in render(DEV, sets=sets).objects()}

    assert names
    assert all(name.startswith("shop-") or name == "shop" for name in names)


def test_a_digest_wins_over_the_tag():
    rendered = render(EVERYTHING)

    image = rendered.of("Deployment")["billing"]["spec"]["template"]["spec"]["containers"][0][
        "image"
    ]
    assert image == f"registry.example.org/vitrine/vitrine-billing@sha256:{'0' * 64}"
    image = rendered.of("Deployment")["vpn"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example.org/vitrine/vitrine-vpn:0.1.0"


def test_what_comes_in_from_outside_has_a_limit():
    found = render(EVERYTHING).of("Ingress")
    limit = "nginx.ingress.kubernetes.io/proxy-body-size"
    shown = {
        each["spec"]["rules"][0]["http"]["paths"][0]["path"]: each["metadata"]["annotations"][limit]
        for each in found.values()
    }

    assert shown == {"/telegram": "512k", "/pay": "64k", "/sub": "8k"}
    for name, each in found.items():
        backend = each["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert backend == {"name": f"vitrine-{name}", "port": {"name": "http"}}
        assert name in render(EVERYTHING).of("Service")


def test_services_select_the_pods_they_are_named_after():
    for file in FILES:
        rendered = render((file,))
        makers = {**rendered.of("Deployment"), **rendered.of("StatefulSet")}
        for name, service in rendered.of("Service").items():
            template = makers[name]["spec"]["template"]
            assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
            ports = {each["name"] for each in _ports(template)}
            assert {each["targetPort"] for each in service["spec"]["ports"]} <= ports, name


def test_selectors_do_not_change_with_a_version():
    for each in render(DEV).of("Deployment").values():
        labels = each["spec"]["selector"]["matchLabels"]
        assert set(labels) == {
            f"app.kubernetes.io/{word}" for word in ("name", "instance", "component")
        }


def test_cnpg_keeps_a_second_copy_before_it_says_done():
    (cluster,) = render(EVERYTHING).of("Cluster").values()
    spec = cluster["spec"]

    assert cluster["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert spec["instances"] == 3
    assert spec["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
    }
    assert spec["affinity"]["podAntiAffinityType"] == "required", "else both are lost with one"
    assert spec["affinity"]["topologyKey"] == "kubernetes.io/hostname"
    alone = render(EVERYTHING, sets=("cnpg.instances=1",)).of("Cluster")["postgres"]["spec"]
    assert "synchronous" not in alone["postgresql"], (
        "with nobody to wait for, all writes would stop"
    )


def test_a_restart_of_an_instance_stops_no_sales():
    """Synchronous to one of the others, so with one gone another has to be there."""
    for file in FILES:
        for each in render((file,)).of("Cluster").values():
            spec = each["spec"]
            waits = spec["postgresql"]["synchronous"]
            assert spec["instances"] >= waits["number"] + 2, file
    two = render(EVERYTHING, sets=("cnpg.instances=2", 'cnpg.durability="preferred"'))
    synchronous = two.of("Cluster")["postgres"]["spec"]["postgresql"]["synchronous"]
    assert synchronous["dataDurability"] == "preferred"


def test_one_certificate_is_asked_for_once():
    """cert-manager makes it for the first Ingress; another that asked for it would be refused."""
    found = render(EVERYTHING).of("Ingress").values()

    asked = [
        each
        for each in found
        if any(name.startswith("cert-manager.io/") for name in each["metadata"]["annotations"])
    ]
    assert len(asked) == 1
    assert len({each["spec"]["tls"][0]["secretName"] for each in found}) == 1
    assert all(len(each["metadata"]["annotations"]) >= 1 for each in found)


def test_without_signatures_no_key_of_them_is_needed():
    rendered = render(EXTERNAL, sets=('signing.mode="off"',))

    assert "vitrine-signing-" not in rendered.text
    assert "vitrine-verify-keys" not in rendered.text
    assert "SIGNING_KEY_FILE" not in rendered.text
    assert "vitrine-signing-billing" in render(EXTERNAL).text


def test_a_secret_out_of_a_vault_is_asked_for_again_at_each_upgrade_and_stays_meanwhile():
    (secret,) = render(("ci/external-secrets-values.yaml",)).of("ExternalSecret").values()

    hooks = secret["metadata"]["annotations"]["helm.sh/hook"].split(",")
    assert set(hooks) == {"pre-install", "pre-upgrade"}
    # It is deleted and made anew; what it made is not deleted with it.
    assert secret["spec"]["target"]["creationPolicy"] == "Orphan"


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [(DEV, "StatefulSet", "nats"), (EVERYTHING, "Deployment", "collector")],
)
def test_a_configuration_that_changed_is_read(values, kind, name):
    """Both read it when they start, so their pods are replaced."""
    rendered = render(values)
    (text,) = rendered.of("ConfigMap")[name]["data"].values()
    annotations = rendered.of(kind)[name]["spec"]["template"]["metadata"]["annotations"]

    assert annotations["checksum/config"] == sha256(text.rstrip("\n").encode()).hexdigest()


def test_each_nats_user_gets_a_certificate():
    from contracts.permissions import USERS

    found = render(EVERYTHING).of("Certificate")

    assert set(found) == {f"nats-{user}" for user in (*USERS, "server")}
    assert found["nats-billing"]["spec"]["secretName"] == "vitrine-nats-billing-tls"
    assert found["nats-billing"]["spec"]["commonName"] == "billing"


def test_helm_test_orders_from_the_simulators():
    pod = render(DEV).of("Pod")["test-order"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    words = pod["spec"]["containers"][0]["args"]
    assert words[:3] == ["python", "-m", "simulators.customer"]
    patience = int(words[-1].partition("=")[2])
    assert pod["spec"]["activeDeadlineSeconds"] > patience


def test_its_words_are_options_of_that_program():
    import simulators.customer

    source = Path(simulators.customer.__file__).read_text()
    for word in render(DEV).of("Pod")["test-order"]["spec"]["containers"][0]["args"][3:]:
        assert f'"{word.partition("=")[0]}"' in source


def test_further_objects_are_rendered_as_templates():
    more = {"apiVersion": "v1", "kind": "ConfigMap"}
    more["metadata"] = {"name": "{{ .Release.Name }}-more"}

    rendered = render(EXTERNAL, sets=(f"extraObjects={json.dumps([more])}",))

    assert "more" in rendered.of("ConfigMap")


def _asked(value):
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]
        for inner in value.values():
            yield from _asked(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _asked(inner)


def _ports(template):
    for container in template["spec"]["containers"]:
        yield from container.get("ports", [])
