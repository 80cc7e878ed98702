"""No pod of any rendering breaks PodSecurity `restricted`, or has more than it needs."""

import pytest

from devstack.chart import CHART, pods, render, values_files

WRITABLE = {"emptyDir"}
READ_ONLY = {"secret", "configMap", "projected"}
STORES = {"StatefulSet/nats", "StatefulSet/postgres"}
ALLOWED_VOLUMES = {*WRITABLE, *READ_ONLY, "persistentVolumeClaim"}


@pytest.fixture(scope="module")
def all_pods():
    """Of every rendering."""
    found = []
    for file in values_files():
        rendered = render((str(file.relative_to(CHART)),))
        assert rendered.code == 0, rendered.text
        found += pods(rendered.objects())
    return found


def test_every_kind_of_pod_is_among_them(all_pods):
    kinds = {"Deployment", "StatefulSet", "Job", "CronJob", "Pod"}
    assert {pod.owner["kind"] for pod in all_pods} == kinds
    assert {"pre-install,pre-upgrade", "test", ""} == {pod.hook for pod in all_pods}
    assert any(pod.spec.get("initContainers") for pod in all_pods)


def test_pods_fit_restricted(all_pods):
    for pod in all_pods:
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.name
        assert security["runAsUser"] > 0, pod.name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            assert not pod.spec.get(name), pod.name
        volumes = [set(volume) - {"name"} for volume in pod.spec.get("volumes", [])]
        assert all(kinds <= ALLOWED_VOLUMES for kinds in volumes), pod.name


def test_containers_fit_restricted_and_cannot_write_their_root(all_pods):
    for pod in all_pods:
        for container in pod.containers:
            security = container["securityContext"]
            assert security == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }, f"{pod.name}: {container['name']}"
            ports = container.get("ports", [])
            assert not any("hostPort" in port for port in ports), pod.name


def test_no_pod_has_a_token_of_the_cluster(all_pods):
    for pod in all_pods:
        assert pod.spec["automountServiceAccountToken"] is False, pod.name
        assert pod.spec["enableServiceLinks"] is False, pod.name
        assert "serviceAccountToken" not in str(pod.spec.get("volumes")), pod.name


def test_only_tmp_and_stores_can_be_written(all_pods):
    for pod in all_pods:
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for container in pod.containers:
            for mount in container["volumeMounts"]:
                kind = next(iter(set(volumes.get(mount["name"], {"claim": ""})) - {"name"}))
                where = f"{pod.name}: {mount['mountPath']}"
                if mount["mountPath"] == "/tmp":
                    assert kind == "emptyDir", where
                elif pod.name in STORES or container["name"] == "comfyui":
                    assert mount.get("readOnly") or mount["mountPath"] == "/data", where
                else:
                    assert mount["readOnly"] is True, where


def test_containers_say_what_they_need_and_cannot_eat_the_node(all_pods):
    for pod in all_pods:
        for container in pod.containers:
            if container["name"] == "comfyui" and "GPU" in str(container).upper():
                continue
            resources = container["resources"]
            assert "memory" in resources["limits"], f"{pod.name}: {container['name']}"
            assert set(resources["requests"]) == {"cpu", "memory"}, pod.name


def test_secrets_are_never_readable_by_everybody(all_pods):
    for pod in all_pods:
        for volume in pod.spec["volumes"]:
            for kind in ("secret", "projected"):
                if kind in volume:
                    assert volume[kind]["defaultMode"] == 0o440, f"{pod.name}: {volume['name']}"


def test_liveness_depends_on_nothing_outside_the_process(all_pods):
    for pod in all_pods:
        if "vitrine/service" not in pod.labels:
            continue
        container = pod.spec["containers"][0]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez", pod.name
        assert container["startupProbe"]["httpGet"]["path"] == "/livez", pod.name
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", pod.name


def test_the_grace_is_longer_than_all_that_happens_in_it(all_pods):
    for pod in all_pods:
        service = pod.labels.get("vitrine/service")
        if service is None:
            continue
        container = pod.spec["containers"][0]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        grace = int(variables[f"{service.upper()}_SHUTDOWN_GRACE"])
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod.spec["terminationGracePeriodSeconds"] > grace + pause, pod.name


def test_what_is_reached_through_a_service_is_taken_out_of_it_first(all_pods):
    for pod in all_pods:
        if "vitrine/service" in pod.labels:
            container = pod.spec["containers"][0]
            reached = any(port["name"] == "http" for port in container["ports"])
            assert "lifecycle" in container or not reached, pod.name


def test_pods_of_one_kind_are_spread(all_pods):
    """Over nodes by the one constraint: with a second, of zones, nodes without a zone undo both."""
    for pod in all_pods:
        if "vitrine/service" in pod.labels:
            (nodes,) = pod.spec["topologySpreadConstraints"]
            assert nodes["topologyKey"] == "kubernetes.io/hostname"
            apart = pod.spec["affinity"]["podAntiAffinity"]
            (zones,) = apart["preferredDuringSchedulingIgnoredDuringExecution"]
            assert zones["podAffinityTerm"]["topologyKey"] == "topology.kubernetes.io/zone"
            for each in (nodes, zones["podAffinityTerm"]):
                wanted = each["labelSelector"]["matchLabels"]
                assert wanted.items() <= pod.labels.items(), pod.name
