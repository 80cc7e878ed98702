"""What tests/cluster installs renders without a cluster, and troubles what it says it troubles."""

import os

import pytest

from devstack import chart
from devstack.cluster import RELEASE, SERVICE_PODS, SERVICES
from devstack.kubernetes_tools import ToolsMissingError, tools
from devstack.settings import REPOSITORY

FOLDER = REPOSITORY / "tests" / "cluster"
PLAIN = ("values-dev.yaml", str(FOLDER / "values.yaml"))


@pytest.fixture(scope="module", autouse=True)
def helm_is_here() -> None:
    try:
        tools()
    except ToolsMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"THE CHART IS NOT TESTED: {error}")


def rendered(*values: str, sets: tuple[str, ...] = (), kube: str = "1.30") -> chart.Rendered:
    found = chart.render(values, sets=sets, kube=kube)
    assert found.code == 0, found.text
    return found


def test_helm_knows_how_to_take_a_field_back() -> None:
    assert "--force-conflicts" in chart.helm("upgrade", "--help").stdout


@pytest.mark.parametrize("kube", chart.KUBE_VERSIONS)
def test_there_are_two_of_each_service_to_lose_one_of(kube: str) -> None:
    deployments = rendered(*PLAIN, kube=kube).of("Deployment")

    assert set(deployments) == {*SERVICES, "simulators"}
    for name in SERVICES:
        assert deployments[name]["spec"]["replicas"] == 2
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert SERVICE_PODS in labels
        assert labels["app.kubernetes.io/component"] == name
        assert deployments[name]["metadata"]["labels"][SERVICE_PODS]


def test_the_simulator_of_telegram_is_no_pod_that_is_killed_or_rolled() -> None:
    simulators = rendered(*PLAIN).of("Deployment")["simulators"]
    rolled = rendered(*PLAIN, sets=('podAnnotations={"rolled":"yes"}',)).of("Deployment")

    assert SERVICE_PODS not in simulators["spec"]["template"]["metadata"]["labels"]
    assert rolled["simulators"] == simulators
    for name in SERVICES:
        annotations = rolled[name]["spec"]["template"]["metadata"]["annotations"]
        assert annotations["rolled"] == "yes"


def test_a_bad_image_is_one_services_alone() -> None:
    bad = f'image.digests={{"billing":"sha256:{"0" * 64}"}}'
    before, after = (rendered(*PLAIN, sets=sets).of("Deployment") for sets in ((), (bad,)))

    assert {name for name in before if before[name] != after[name]} == {"billing"}


def test_keda_takes_the_generator_from_none_to_four() -> None:
    peer = '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"k"}}}]'
    found = rendered(
        *PLAIN, str(FOLDER / "keda.yaml"), sets=(f"networkPolicy.callers.keda={peer}",)
    )
    (scaled,) = found.of("ScaledObject").values()

    assert scaled["spec"]["scaleTargetRef"]["name"] == f"{RELEASE}-generator-simulated"
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (0, 4)
    assert "replicas" not in found.of("Deployment")["generator-simulated"]["spec"]
    assert "kubernetes.io/metadata.name: k\n" in found.text
