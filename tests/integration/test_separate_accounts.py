"""The real platform with an account of NATS for each service: it sells, pays back and answers."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio

from chassis.testing import drain
from contracts.accounts import SEPARATE, account_of
from contracts.topology import SERVICES
from devstack.cashier import heard, vitrine
from devstack.customer import PRODUCT_SCENE, Customer
from devstack.stage import Stage, running_platform

pytestmark = [pytest.mark.xdist_group("separate"), pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop() -> AsyncIterator[Stage]:
    async with running_platform({"VITRINE_NATS_ACCOUNTS": SEPARATE}) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def buyer(shop: Stage, new_user: Iterator[int]) -> Customer:
    person = shop.customer(next(new_user))
    await person.start()
    return person


async def test_every_service_is_in_an_account_of_its_own(shop: Stage) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{shop.urls['nats_monitoring']}/connz?auth=1") as answer:
            connections = (await answer.json())["connections"]

    found = {each["name"]: each["account"] for each in connections if each["name"] in SERVICES}
    assert found == {service: account_of(service, SEPARATE) for service in SERVICES}


async def test_a_picture_is_ordered_made_delivered_and_paid(
    shop: Stage, buyer: Customer, coffee: bytes
) -> None:
    quote = await buyer.order(coffee, PRODUCT_SCENE)
    result = await buyer.result(quote)

    assert result.media_kind == "photo"

    async def completed() -> bool:
        rows = await shop.fetch(
            "SELECT state FROM billing.orders WHERE order_id = $1", quote.order_id
        )
        return [row["state"] for row in rows] == ["completed"]

    await drain(completed, what="delivered and paid")
    account = await shop.account(buyer.chat.user_id)
    assert account.held == 0
    assert account.available < 20


async def test_an_operator_gives_and_asks_and_is_told(shop: Stage, buyer: Customer) -> None:
    user_id = buyer.chat.user_id

    given = await vitrine(shop, "grant", user_id, 50, "--reason", "a slow night")
    said = await heard(buyer, "You received 50 credits")
    since = datetime.now(UTC) - timedelta(hours=2)
    agrees = await vitrine(shop, "reconcile", "yookassa", "--since", since.isoformat())

    assert given[0] == 0, given[1]
    assert "50" in said.text
    assert agrees[0] == 0, agrees[1]
