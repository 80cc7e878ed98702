"""A release on the cluster that KUBECONFIG names; without `make cluster` nothing here is tried."""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devstack import cluster as clusters
from devstack.chart import CHART
from devstack.cluster import Cluster

HERE = Path(__file__).parent
NOT_TRIED = (
    "CLUSTER TESTS NOT RUN: they need a Kubernetes cluster of 1.30 or newer, named by KUBECONFIG, "
    "and are started by `make cluster` alone (docs/cluster-tests.md)"
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything is collected; what cannot be tried is said once, not for each test."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(1_800))
        item.add_marker(pytest.mark.xdist_group("cluster"))
    if os.environ.get("VITRINE_CLUSTER") == "yes" and os.environ.get("KUBECONFIG"):
        return
    for item in ours[:1]:
        item.add_marker(pytest.mark.skip(reason=f"{NOT_TRIED}: {len(ours)} tests"))
    config.hook.pytest_deselected(items=ours[1:])
    items[:] = [item for item in items if item not in ours[1:]]


def image_values() -> list[str]:
    """Where the cluster finds our images; without: on its nodes, as values-dev.yaml calls them."""
    given = {
        "image.registry": os.environ.get("VITRINE_CLUSTER_REGISTRY", ""),
        "image.tag": os.environ.get("VITRINE_CLUSTER_TAG", ""),
    }
    return [word for name, value in given.items() if value for word in ("--set", f"{name}={value}")]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    """A namespace that enforces PodSecurity `restricted`, with keys; removed afterwards."""
    namespace = f"vitrine-test-{random.randrange(10**6):06}"
    values = [
        *("--values", str(CHART / "values-dev.yaml"), "--values", str(HERE / "values.yaml")),
        *image_values(),
    ]
    if more := os.environ.get("VITRINE_CLUSTER_VALUES"):
        values += ["--values", more]
    found = await clusters.connected(namespace, values)
    await found.kubectl("create", "namespace", namespace)
    await found.kubectl(
        *("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"),
    )
    await found.kubectl("apply", "--filename", "-", stdin=await clusters.keys(namespace))
    yield found
    if os.environ.get("VITRINE_CLUSTER_KEEP") != "yes":
        await found.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(cluster: Cluster) -> Cluster:
    """The platform, installed once for all tests."""
    await cluster.upgrade(seconds_max=600)
    return cluster


@pytest_asyncio.fixture(loop_scope="session")
async def telegram(shop: Cluster) -> AsyncIterator[str]:
    """Where the simulator of Telegram answers on this machine."""
    await shop.settled()
    async with shop.forward("service/vitrine-simulators", 8081) as port:
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture(loop_scope="session")
async def durable(shop: Cluster) -> Cluster:
    """Only where what NATS and Postgres hold outlives their pods."""
    claims = (await shop.get("persistentvolumeclaims"))["items"]
    if len(claims) < 2:
        pytest.skip("NATS and Postgres keep nothing here: dev.*.storageSize is empty")
    return shop
