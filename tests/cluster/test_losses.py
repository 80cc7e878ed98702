"""People order while pods are killed and a node is emptied."""

import asyncio

import pytest

from devstack.cluster import RELEASE, SERVICES, Cluster, eventually
from devstack.orders import Ordered, people

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERY_SECONDS = 3.0
CALM_SECONDS = 5.0
STORES = ("nats", "postgres")


async def completed_once(shop: Cluster, orders: list[Ordered]) -> None:
    users = ", ".join(str(each.user_id) for each in orders)
    found = await shop.rows(
        "SELECT o.order_id, o.state, h.state FROM billing.orders o "
        f"LEFT JOIN billing.holds h USING (order_id) WHERE o.user_id IN ({users})"
    )
    assert sorted(found) == sorted([str(each.order_id), "completed", "posted"] for each in orders)


async def killed(shop: Cluster, pod: str) -> None:
    await shop.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.parametrize("service", SERVICES)
async def test_each_pod_of_a_service_may_be_killed(
    shop: Cluster, telegram: str, service: str
) -> None:
    victims = await shop.pods(f"app.kubernetes.io/component={service}")
    assert victims, "nothing to kill: nothing would be shown"

    async with people(telegram, EVERY_SECONDS) as load:
        for pod in victims:
            await killed(shop, pod["metadata"]["name"])
            await asyncio.sleep(CALM_SECONDS)  # trouble at different moments of the orders
            await shop.settled()
        orders = await load.ended(pictures_max=2)

    await completed_once(shop, orders)


async def store_killed(shop: Cluster, pod: str) -> None:
    """End it by SIGKILL after a second: of a store Kubernetes must know that it is gone.

    Deleted by force, a pod of a StatefulSet gets a successor while it still runs, on the same disk.
    """
    await shop.kubectl("delete", "pod", pod, "--grace-period=1", "--wait=false")


@pytest.mark.parametrize("store", STORES)
async def test_nats_and_postgres_may_be_killed(durable: Cluster, telegram: str, store: str) -> None:
    name = f"{RELEASE}-{store}"
    before = (await durable.get("pod", f"{name}-0"))["metadata"]["uid"]

    async def another() -> bool:
        found = (await durable.get("statefulset", name))["status"]
        pods = await durable.pods(f"app.kubernetes.io/component={store}")
        return found.get("readyReplicas") == 1 and pods[0]["metadata"]["uid"] != before

    async with people(telegram, EVERY_SECONDS) as load:
        await asyncio.sleep(CALM_SECONDS)  # some orders are under way
        await store_killed(durable, f"{name}-0")
        await eventually(another, f"{name}-0 is back")
        await durable.settled()
        orders = await load.ended(pictures_max=2)

    await completed_once(durable, orders)


async def test_a_node_is_drained_and_nobody_notices(shop: Cluster, telegram: str) -> None:
    nodes = await shop.nodes()
    if len(nodes) < 2:
        pytest.skip("one node alone cannot be drained: its pods have nowhere to go")
    places = [pod["spec"]["nodeName"] for pod in await shop.pods()]
    node = max(nodes, key=places.count)

    async with people(telegram, EVERY_SECONDS) as load:
        try:
            # Ours alone, by the Eviction API: disruption budgets are asked.
            await shop.kubectl(
                *("drain", node, "--pod-selector", "vitrine/service", "--timeout=300s"),
                *("--ignore-daemonsets", "--delete-emptydir-data"),
            )
            left = [pod for pod in await shop.pods() if pod["spec"].get("nodeName") == node]
            await shop.settled()
        finally:
            await shop.kubectl("uncordon", node)
        orders = await load.ended()

    assert not [pod for pod in left if "deletionTimestamp" not in pod["metadata"]]
    await completed_once(shop, orders)
