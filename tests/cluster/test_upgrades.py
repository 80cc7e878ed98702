"""People order while the release changes: nothing is lost, nothing happens twice."""

import os

import pytest

from devstack.cluster import RELEASE, Cluster
from devstack.orders import Ordered, people

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERY_SECONDS = 3.0
NO_SUCH_IMAGE = "sha256:" + "0" * 64


async def booked_once(shop: Cluster, orders: list[Ordered]) -> None:
    """Each order is completed and charged once, and there are no others of these people."""
    users = ", ".join(str(each.user_id) for each in orders)
    found = await shop.rows(
        "SELECT o.order_id, o.state, h.state FROM billing.orders o "
        f"LEFT JOIN billing.holds h USING (order_id) WHERE o.user_id IN ({users})"
    )
    assert sorted(found) == sorted([str(each.order_id), "completed", "posted"] for each in orders)


async def test_an_upgrade_under_load_loses_and_doubles_no_order(
    shop: Cluster, telegram: str
) -> None:
    """VITRINE_CLUSTER_NEXT_VALUES: to that release; without, every pod is replaced by its like."""
    before = await shop.names_of_pods()
    following = os.environ.get("VITRINE_CLUSTER_NEXT_VALUES", "")
    alike = ("--set-string", "podAnnotations.rolled=yes")
    change = ("--values", following) if following else alike

    async with people(telegram, EVERY_SECONDS) as load:
        await shop.upgrade(*change)
        await shop.settled()
        orders = await load.ended()

    assert not before & await shop.names_of_pods(), "every pod was replaced"
    assert len(orders) > 3, "nobody ordered meanwhile: nothing was shown"
    await booked_once(shop, orders)


async def test_a_bad_image_is_rolled_back_and_nobody_notices(shop: Cluster, telegram: str) -> None:
    async with people(telegram, EVERY_SECONDS) as load:
        said = await shop.upgrade(
            *("--rollback-on-failure", "--set", f"image.digests.billing={NO_SUCH_IMAGE}"),
            check=False,
            seconds_max=60,
        )
        await shop.settled()
        orders = await load.ended()

    history = await shop.helm("history", RELEASE, "--max", "1")
    assert "ollback" in history, f"{said}\n{history}"
    assert len(orders) > 3
    await booked_once(shop, orders)


async def test_a_restart_of_everything_goes_pod_by_pod(shop: Cluster, telegram: str) -> None:
    async with people(telegram, EVERY_SECONDS) as load:
        await shop.kubectl("rollout", "restart", "deployment", "--selector", "vitrine/service")
        await shop.settled()
        orders = await load.ended()

    await booked_once(shop, orders)
