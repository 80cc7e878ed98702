"""KEDA brings generators as orders wait, and lets the last one go."""

from pathlib import Path

import pytest

from devstack.cluster import RELEASE, Cluster, eventually
from devstack.orders import people

pytestmark = pytest.mark.asyncio(loop_scope="session")
GENERATOR = f"{RELEASE}-generator-simulated"
KEDA_VALUES = Path(__file__).with_name("keda.yaml")
RUSH_SECONDS = 0.4
"""Faster than four generators of three seconds each."""
MOST = 4


@pytest.fixture
async def keda(shop: Cluster) -> str:
    """The namespace of KEDA's operator."""
    kinds = await shop.kubectl("get", "crd", "scaledobjects.keda.sh", check=False)
    if "NotFound" in kinds or "not found" in kinds:
        pytest.skip("KEDA is not installed on this cluster")
    found = (await shop.get("deployments", "--all-namespaces"))["items"]
    operators = [
        each["metadata"]["namespace"]
        for each in found
        if each["metadata"]["name"] == "keda-operator"
    ]
    assert operators, "the kinds of KEDA are here, its operator is not"
    return operators[0]


async def test_generators_come_from_none_to_four_and_go_again(
    shop: Cluster, telegram: str, keda: str
) -> None:
    peer = "networkPolicy.callers.keda[0].namespaceSelector.matchLabels"
    name = r"kubernetes\.io/metadata\.name"
    await shop.upgrade("--values", str(KEDA_VALUES), "--set-string", f"{peer}.{name}={keda}")
    seen: list[int] = []

    async def pods() -> int:
        status = (await shop.get("deployment", GENERATOR))["status"]
        seen.append(status.get("readyReplicas", 0))
        return seen[-1]

    async def back() -> bool:
        return await pods() >= 1

    async def wanted() -> bool:
        return (await shop.get("deployment", GENERATOR))["spec"]["replicas"] == MOST

    async def none() -> bool:
        return await pods() == 0

    async def most() -> bool:
        return await pods() == MOST

    try:
        await eventually(none, "no generator without an order", 180)
        async with people(telegram, RUSH_SECONDS) as load:
            await eventually(wanted, f"{MOST} generators wanted for a rush", 300)
            # More than they can draw: who came until here waits long enough on a slow cluster.
            await load.stop()
            await eventually(most, f"{MOST} generators for a rush", 300)
            orders = await load.ended()
        await eventually(none, "the last generator goes", 300)
    finally:
        await shop.upgrade()
    await eventually(back, "without KEDA there is a generator", 180)

    assert max(seen) == MOST
    assert len(orders) > MOST
