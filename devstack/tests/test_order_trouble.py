"""An order that cannot succeed any more is recognised by the shop's own rows."""

import aiohttp
import asyncpg
import pytest

from chassis.clock import new_id
from chassis.migrations import migrate
from devstack.order_trouble import OrderTroubleError, Watch, unwell, why_not
from devstack.settings import REPOSITORY

PERSON, OTHER = 1, 2


@pytest.fixture
async def shop(database_dsn: str):
    for service in ("billing", "gateway"):
        folder = REPOSITORY / "services" / service / "migrations"
        await migrate(database_dsn, schema=service, folder=folder)
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


async def screen(connection: asyncpg.Connection, state: str, reason: str | None = None) -> None:
    order_id = new_id()
    await connection.execute(
        "INSERT INTO gateway.screens (order_id, user_id, workflow_id, catalogue_version, "
        "price_credits, base_price_credits, priced_at, state, created_at, updated_at) "
        "VALUES ($1, $2, 'w', 1, 10, 10, now(), $3, now(), now())",
        order_id,
        PERSON,
        state,
    )
    if reason is not None:
        await connection.execute(
            "INSERT INTO billing.orders (order_id, user_id, workflow_id, catalogue_version, "
            "price_credits, digest, pool, lane, state, version, reason, placed_at, traceparent) "
            "VALUES ($1, $2, 'w', 1, 10, '', 'image', 'regular', $3, 1, $4, now(), '')",
            order_id,
            PERSON,
            state,
            reason,
        )


@pytest.mark.parametrize("state", ["priced", "confirming", "placed", "accepted", "running"])
async def test_an_order_under_way_is_no_trouble(shop, state):
    await screen(shop, state)

    assert await why_not(shop, PERSON) is None


async def test_an_end_without_a_result_is_told_with_its_reason(shop):
    await screen(shop, "refused", "queue_full")

    assert await why_not(shop, PERSON) == "the order was refused (queue_full)"
    assert await why_not(shop, OTHER) is None


@pytest.mark.parametrize(
    ("state", "words"),
    [("dropped", "nothing was ordered"), ("refunded", "nothing was charged")],
)
async def test_each_end_has_words_of_its_own(shop, state, words):
    await screen(shop, state)

    assert words in (await why_not(shop, PERSON) or "")


async def test_a_photo_that_failed_is_told(shop):
    await shop.execute(
        "INSERT INTO gateway.media (id, user_id, shard, file_unique_id, file_id, size_bytes, mime, "
        "state, due_at, error, created_at, used_at) "
        "VALUES ($1, $2, 1, 'u', 'f', 1, 'm', 'failed', now(), 'too_large', now(), now())",
        new_id(),
        PERSON,
    )

    assert await why_not(shop, PERSON) == "the photo could not be used (too_large)"


async def test_a_process_that_does_not_answer_stops_the_order_before_it_begins(free_port):
    health = {"generator": f"http://127.0.0.1:{free_port}"}
    async with aiohttp.ClientSession() as session:
        found = await unwell(session, health)
        watch = Watch(session, {"database": "unused", "health": health}, PERSON)
        with pytest.raises(OrderTroubleError, match="generator does not answer"):
            await watch.check_first()

    assert found == ["generator does not answer"]
