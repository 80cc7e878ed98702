"""A fresh namespace, one install, and a person gets a picture."""

import aiohttp
import pytest

from devstack.cluster import RELEASE, SERVICES, Cluster
from devstack.orders import people

pytestmark = pytest.mark.asyncio(loop_scope="session")
BOOKED = (
    "SELECT o.state, h.state FROM billing.orders o LEFT JOIN billing.holds h USING (order_id) "
    "WHERE o.order_id = '{}'"
)


async def test_every_part_becomes_ready(shop: Cluster) -> None:
    await shop.settled()

    names = {each["metadata"]["name"] for each in (await shop.get("deployments"))["items"]}
    assert names == {f"{RELEASE}-{name}" for name in (*SERVICES, "simulators")}


async def test_the_pods_of_a_service_are_on_two_nodes(shop: Cluster) -> None:
    if len(await shop.nodes()) < 2:
        pytest.skip("there is one node")

    for service in SERVICES:
        pods = await shop.pods(f"app.kubernetes.io/component={service}")
        assert len({pod["spec"]["nodeName"] for pod in pods}) > 1, service


async def test_helm_test_places_a_real_order(shop: Cluster) -> None:
    said = await shop.helm("test", RELEASE, "--timeout", "6m", "--logs")

    assert "Succeeded" in said


async def test_a_person_orders_and_is_charged_once(shop: Cluster, telegram: str) -> None:
    async with people(telegram, every_seconds=600) as load:
        (ordered,) = await load.ended()

    assert await shop.rows(BOOKED.format(ordered.order_id)) == [["completed", "posted"]]


async def test_services_are_healthy_and_say_so(shop: Cluster) -> None:
    for service in SERVICES:
        async with (
            shop.forward(f"deployment/{RELEASE}-{service}", 8080) as port,
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            assert answer.status == 200, f"{service}: {await answer.text()}"
