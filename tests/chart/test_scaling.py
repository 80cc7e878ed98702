"""Each workload is scaled in one way; KEDA asks for consumers that exist, by a full name."""

import json

import pytest

from contracts import topology
from devstack.chart import CHART, pods, render, values_files

SCALING = ("ci/scaling-values.yaml",)


@pytest.fixture(scope="module")
def scaling():
    return render(SCALING)


def test_scaled_deployments_leave_their_number_to_the_scaler(scaling):
    numbers = {
        name: each["spec"].get("replicas") for name, each in scaling.of("Deployment").items()
    }

    assert numbers == {
        "gateway": None,
        "billing": None,
        "generator-elsewhere": 1,
        "generator-image": None,
        "generator-both": None,
        "vpn": 1,
        "scheduler": 3,
    }
    assert set(scaling.of("HorizontalPodAutoscaler")) == {"gateway"}
    assert set(scaling.of("ScaledObject")) == {"billing", "generator-image", "generator-both"}


def test_scalers_name_deployments_that_exist():
    for file in values_files():
        rendered = render((str(file.relative_to(CHART)),))
        known = {each["metadata"]["name"] for each in rendered.of("Deployment").values()}
        for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            for each in rendered.of(kind).values():
                assert each["spec"]["scaleTargetRef"]["name"] in known, file.name


def triggers(scaled):
    return [each["metadata"] for each in scaled["spec"]["triggers"]]


def test_keda_asks_for_consumers_of_the_topology():
    known = {(each.stream, each.name) for each in topology.consumers()}
    asked = set()
    for values in (SCALING, ("values-large.yaml",)):
        for each in render(values).of("ScaledObject").values():
            asked |= {(trigger["stream"], trigger["consumer"]) for trigger in triggers(each)}

    assert asked <= known
    assert ("JOBS", "image-priority") in asked


def test_comfyui_looks_for_models_where_they_are_mounted():
    """Its base directory is where it writes, too: the root of the container cannot be written."""
    looked = 0
    for file in values_files():
        for each in pods(render((str(file.relative_to(CHART)),)).objects()):
            for container in each.containers:
                mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
                if "comfyui-models" in mounts:
                    looked += 1
                    words = container["args"]
                    base = words[words.index("--base-directory") + 1]
                    assert mounts["comfyui-data"] == base, file.name
                    assert mounts["comfyui-models"] == f"{base}/models", file.name
    assert looked > 1


def test_gateways_backlog_is_what_people_send_as_well():
    sets = ("services.gateway.keda.enabled=true", "services.gateway.hpa.enabled=false")

    scaled = render(SCALING, sets=sets).of("ScaledObject")["gateway"]

    asked = {(each["stream"], each["consumer"]) for each in triggers(scaled)}
    mine = ("GATEWAY", "UPDATES")
    wanted = {(each.stream, each.name) for each in topology.consumers() if each.stream in mine}
    assert asked == {*wanted, ("EVENTS", "gateway")}
    assert len(wanted) > topology.SHARDS


@pytest.mark.parametrize("service", ["gateway", "billing", "vpn", "scheduler"])
def test_every_service_can_be_scaled_by_its_backlog(service):
    known = {(each.stream, each.name) for each in topology.consumers()}
    sets = (f"services.{service}.replicas=null", f"services.{service}.keda.enabled=true")

    scaled = render(SCALING, sets=(*sets, f"services.{service}.hpa.enabled=false"))

    asked = triggers(scaled.of("ScaledObject")[service])
    assert asked
    assert {(each["stream"], each["consumer"]) for each in asked} <= known


def test_keda_that_is_switched_off_leaves_what_there_was_before_it(scaling):
    """Or switching it off while nothing waits leaves none, and nobody to bring one."""
    for each in scaling.of("ScaledObject").values():
        assert each["spec"]["advanced"]["restoreToOriginalReplicaCount"] is True


def test_the_formula_adds_every_lane_of_every_pool(scaling):
    spec = scaling.of("ScaledObject")["generator-both"]["spec"]
    names = [each["name"] for each in spec["triggers"]]

    assert spec["advanced"]["scalingModifiers"]["formula"].split(" + ") == names
    assert names == ["vip_image", "regular_image", "vip_video", "regular_video"]
    assert [
        each["consumer"] for each in triggers(scaling.of("ScaledObject")["generator-both"])
    ] == [
        "image-priority",
        "image-regular",
        "video-priority",
        "video-regular",
    ]


def test_keda_is_given_a_full_name(scaling):
    for each in scaling.of("ScaledObject").values():
        for trigger in triggers(each):
            assert ".svc." in trigger["natsServerMonitoringEndpoint"]
    dev = render(
        ("values-dev.yaml",),
        sets=("services.billing.replicas=null", "services.billing.keda.enabled=true"),
    )
    endpoint = triggers(dev.of("ScaledObject")["billing"])[0]["natsServerMonitoringEndpoint"]
    assert endpoint == "vitrine-nats.vitrine.svc.cluster.local:8222"


def test_a_budget_is_there_wherever_there_can_be_several_pods(scaling):
    budgets = scaling.of("PodDisruptionBudget")

    # What is scaled has one even if it may be a single pod at times: at a rush it is many.
    several = {"gateway", "billing", "scheduler", "generator-image", "generator-both"}
    assert set(budgets) == several
    assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets.values())
    assert all("minAvailable" not in each["spec"] for each in budgets.values())


@pytest.mark.parametrize(
    ("sets", "there"),
    [
        (("services.gateway.hpa.min=1", "services.gateway.hpa.max=12"), True),
        (("services.gateway.hpa.min=1", "services.gateway.hpa.max=1"), False),
        (("services.gateway.hpa.enabled=false", "services.gateway.replicas=1"), False),
        (("services.gateway.hpa.enabled=false", "services.gateway.replicas=2"), True),
    ],
)
def test_a_budget_goes_by_the_most_there_can_be(sets, there):
    assert ("gateway" in render(SCALING, sets=sets).of("PodDisruptionBudget")) == there


def test_a_rollout_may_take_as_long_as_comfyui_may(scaling):
    for name, each in scaling.of("Deployment").items():
        startup = sum(
            probe["periodSeconds"] * probe["failureThreshold"]
            for container in _containers(each)
            if (probe := container.get("startupProbe"))
        )
        assert each["spec"]["progressDeadlineSeconds"] > startup + 300, name


def test_comfyui_has_a_home_it_can_write(scaling):
    (comfyui,) = scaling.of("Deployment")["generator-image"]["spec"]["template"]["spec"][
        "initContainers"
    ]
    writable = [each["mountPath"] for each in comfyui["volumeMounts"] if not each.get("readOnly")]
    env = {each["name"]: each["value"] for each in comfyui["env"]}

    assert all(each["name"].startswith("comfyui-") for each in comfyui["volumeMounts"]), "no keys"
    assert env["HOME"] in writable
    own = {"image": "c", "env": {"HOME": "/data/home", "PYTORCH_ALLOC_CONF": "x", "N": 1048576}}
    server = {"name": "a", "pools": ["image"], "replicas": 1, "sidecar": own}
    (given,) = render(SCALING, sets=(f"comfyui.servers={json.dumps([server])}",)).of("Deployment")[
        "generator-a"
    ]["spec"]["template"]["spec"]["initContainers"]
    env = {each["name"]: each["value"] for each in given["env"]}
    assert env == {"HOME": "/data/home", "PYTORCH_ALLOC_CONF": "x", "N": "1048576"}


def _containers(deployment):
    spec = deployment["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_a_generator_never_needs_a_second_gpu_to_roll_out(scaling):
    for name, each in scaling.of("Deployment").items():
        rolling = each["spec"]["strategy"]["rollingUpdate"]
        if name.startswith("generator-"):
            assert rolling == {"maxSurge": 0, "maxUnavailable": 1}
        else:
            assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


def test_comfyui_runs_beside_its_generator_with_gpu_and_models(scaling):
    pod = scaling.of("Deployment")["generator-image"]["spec"]["template"]["spec"]
    (comfyui,) = pod["initContainers"]

    assert comfyui["restartPolicy"] == "Always"
    assert comfyui["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert {
        "name": "comfyui-models",
        "mountPath": "/data/models",
        "readOnly": True,
    } in comfyui["volumeMounts"]
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "comfyui-models", "persistentVolumeClaim": claim} in pod["volumes"]
    assert pod["nodeSelector"] == {"accelerator": "l4"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert variables["GENERATOR_COMFYUI_URL"] == "http://127.0.0.1:8188"
    assert variables["GENERATOR_POOLS"] == "image"


def test_another_maker_of_gpus_is_named_by_its_resource(scaling):
    pod = scaling.of("Deployment")["generator-both"]["spec"]["template"]["spec"]

    assert pod["initContainers"][0]["resources"]["limits"] == {"amd.com/gpu": 2}
