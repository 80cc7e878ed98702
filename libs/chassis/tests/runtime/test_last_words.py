"""What sets a thing comes late after something newer: the last word stays (ADR 0018)."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from chassis import inbox
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import id_floor, new_id
from chassis.consumers import ExactlyOnce, Received, Route
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.retention import KEEP, Retention
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.errors import RefusalError
from contracts.ids import MessageId

Start = Callable[..., ExactlyOnce]


def said_ago(outbox: Outbox, seconds: float) -> UUID:
    return id_floor(outbox.clock.now() - timedelta(seconds=seconds))


async def say(broker: Broker, *words: tuple[UUID, str], user_id: int = 1) -> None:
    """Send tiers to set, each under its own id, in this order."""
    messages = []
    for said, tier in words:
        command = billing.SetTier(user_id=user_id, tier=tier, reason="t", actor="t")
        headers = Headers(id=MessageId(said)).to_wire()
        messages.append(OutgoingMessage(command.subject, command.encode(), headers))
    assert all(await broker.publish_all(messages))


async def write(command: billing.SetTier, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.tier)


async def set_one(command: billing.SetTier, uow: UnitOfWork) -> None:
    if await uow.is_last_word(f"tier:{command.user_id}"):
        if command.tier == "refused":
            raise RefusalError
        await write(command, uow)


async def set_many(received: list[Received[billing.SetTier]], uow: UnitOfWork) -> None:
    for each in received:
        if await uow.is_last_word(f"tier:{each.message.user_id}", each.headers.id):
            await write(each.message, uow)


@pytest.fixture(params=["single", "batch"])
def route(request: pytest.FixtureRequest) -> Route:
    if request.param == "batch":
        return Route(message=billing.SetTier, handler=set_many, batch=True)
    return Route(message=billing.SetTier, handler=set_one)


async def emptied(broker: Broker) -> bool:
    info = await broker.api("STREAM.INFO.BILLING")
    return int(info["state"]["messages"]) == 0


async def test_an_older_word_that_comes_later_changes_nothing(
    broker: Broker, outbox: Outbox, consume: Start, tables, route: Route
) -> None:
    first, second, third = (said_ago(outbox, seconds) for seconds in (30, 20, 10))
    await say(broker, (second, "second"), (first, "first"), (third, "third"), (second, "again"))

    consume(route)

    await drain(lambda: emptied(broker), what="the stream to be empty")
    assert await tables.done() == ["second", "third"]


async def test_words_on_other_things_do_not_meet(
    broker: Broker, outbox: Outbox, consume: Start, tables, route: Route
) -> None:
    await say(broker, (said_ago(outbox, 1), "mine"))
    await say(broker, (said_ago(outbox, 9), "theirs"), user_id=2)

    consume(route)

    await tables.until(handled=2)
    assert await tables.done() == ["mine", "theirs"]


async def test_words_of_one_moment_pass_in_the_order_they_come(
    broker: Broker, outbox: Outbox, consume: Start, tables, route: Route
) -> None:
    one = said_ago(outbox, 1)
    await say(broker, (UUID(int=one.int + 1), "later"), (one, "earlier"))

    consume(route)

    await tables.until(handled=2)
    assert await tables.done() == ["later", "earlier"]


async def test_a_word_that_was_refused_is_none(
    broker: Broker, outbox: Outbox, consume: Start, tables
) -> None:
    await say(broker, (said_ago(outbox, 1), "refused"), (said_ago(outbox, 9), "stands"))

    consume(Route(message=billing.SetTier, handler=set_one))

    await tables.until(handled=1)
    assert await tables.done() == ["stands"]


async def test_a_clock_ahead_of_ours_does_not_have_the_last_word_for_hours(
    broker: Broker, outbox: Outbox, consume: Start, tables, route: Route
) -> None:
    await say(broker, (said_ago(outbox, -3_600), "of tomorrow"))
    consume(route)
    await tables.until(handled=1)

    await say(broker, (new_id(), "of now"))

    await tables.until(handled=2)
    assert await tables.done() == ["of tomorrow", "of now"]


async def test_two_who_ask_at_once_are_answered_one_after_the_other(outbox: Outbox) -> None:
    older, newer = said_ago(outbox, 9), said_ago(outbox, 1)
    async with outbox.begin() as first:
        assert await first.is_last_word("door", newer)

        async def ask() -> bool:
            async with outbox.begin() as second:
                return await second.is_last_word("door", older)

        asking = asyncio.create_task(ask())
        async with outbox.database.read() as connection:

            async def waiting() -> bool:
                found: bool = await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
                )
                return found

            await drain(waiting, what="the second waits for the first")
        assert not asking.done()
    assert await asking is False


@pytest.mark.parametrize("state", ["parked", "done"])
async def test_words_stay_while_anything_waits_that_may_be_older(
    outbox: Outbox, database: Database, state: str
) -> None:
    old = outbox.clock.now() - KEEP - timedelta(days=1)
    async with database.read() as connection:
        await inbox.is_last_word(connection, name="door", said=id_floor(old), now=old)
        await connection.execute(
            "INSERT INTO parked VALUES ($1, 'S', 'c', 's', '{}', '', 'bug', '', $2, $3, $4)",
            new_id(),
            old,
            state,
            outbox.clock.now() if state == "done" else None,
        )

    await Retention(database, outbox.clock, asyncio.Event()).run_once()

    async with database.read() as connection:
        left = await connection.fetchval("SELECT count(*) FROM aggregate_versions")
    assert left == (1 if state == "parked" else 0)
