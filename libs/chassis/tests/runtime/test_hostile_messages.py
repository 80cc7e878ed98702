"""Messages and re-drives that would loop, kill or double: none of them does."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, id_floor, new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database, DatabaseUnavailableError
from chassis.outbox import Outbox, UnitOfWork
from chassis.redrive import Redrive
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId

Start = Callable[..., ExactlyOnce]
SUBJECT = billing.GrantCredits.subject
DEEP = b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"


def grant(key: str, user_id: int = 1) -> bytes:
    return billing.GrantCredits(
        grant_key=key, user_id=user_id, credits=1, reason="t", actor="t"
    ).encode()


def event() -> billing.CreditsGranted:
    return billing.CreditsGranted(user_id=1, credits=1, lot="bonus", reason="r")


def wire(message_id: UUID | None = None) -> dict[str, str]:
    return Headers(id=MessageId(message_id or new_id())).to_wire()


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.grant_key)


async def keys_done(database: Database) -> list[str]:
    async with database.read() as connection:
        return [row["key"] for row in await connection.fetch("SELECT key FROM done ORDER BY key")]


async def parked_rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return await connection.fetch("SELECT * FROM parked")


def holds(broker: Broker, stream: str, count: int) -> Callable[[], Any]:
    async def check() -> bool:
        info = await broker.api(f"STREAM.INFO.{stream}")
        return bool(info["state"]["messages"] == count)

    return check


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xc1", {**wire(id_floor(SystemClock().now() - timedelta(hours=2))), "Note": "a\0b"}),
        (b"\xc1", {"Vitrine-Sent-At": "2020-01-01T00:00:00"}),
        (DEEP, wire(id_floor(SystemClock().now() - timedelta(hours=2)))),
        (b"\xc1", wire(id_floor(SystemClock().now() + timedelta(days=900)))),
    ],
    ids=["a NUL in a header", "a time without zone", "nested too deep", "an id from the future"],
)
async def test_no_malformed_message_stops_or_loops_the_consumer(
    broker: Broker, database: Database, consume: Start, body: bytes, headers: dict[str, str]
) -> None:
    await broker.publish(SUBJECT, body, headers)
    await broker.publish(SUBJECT, grant("good"), wire())

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 0), what="both to be settled")
    assert await keys_done(database) == ["good"]
    assert len(await parked_rows(database)) == 1


async def test_patience_counts_from_the_sending_not_from_a_derived_id(
    broker: Broker, database: Database, consume: Start
) -> None:
    """An event's id carries its order's time: the order may be hours old."""
    now = SystemClock().now()
    headers = Headers(id=MessageId(id_floor(now - timedelta(hours=3))), sent_at=now).to_wire()
    await broker.publish("billing.cmd.from_the_future.v9", b"x", headers)
    await broker.publish(SUBJECT, grant("good"), wire())

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 1), what="the good one to be acked")
    assert await parked_rows(database) == []


async def test_a_message_that_was_handled_is_not_parked_for_want_of_an_ack(
    broker: Broker, database: Database, outbox: Outbox, consume: Start
) -> None:
    """The last start commits, the process dies before the ack: re-driven, it would count twice."""
    message_id = new_id()
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO inbox (day, id) VALUES ($1, $2)", uow.now.date(), message_id
        )
        await uow.connection.execute("INSERT INTO starts VALUES ($1, 5, now())", message_id)
    await broker.publish(SUBJECT, grant("once"), wire(message_id))
    pull = broker.consume("BILLING", "billing", batch=1)
    for _ in range(2):
        for delivery in await pull.next():
            await delivery.nak()
    await pull.stop()

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(holds(broker, "BILLING", 0), what="the repeat to be acked")
    assert await parked_rows(database) == []


async def test_a_consumer_that_fails_leaves_no_pull_behind(broker: Broker, outbox: Outbox) -> None:
    async def fails(_deliveries: object) -> None:
        raise ZeroDivisionError

    consumer = ExactlyOnce(
        "billing", outbox, Subscription(stream="BILLING", consumer="billing", routes=())
    )
    consumer._take = fails  # type: ignore[method-assign,assignment]
    before = len(broker.nc._sinks)
    await broker.publish(SUBJECT, grant("k"), wire())

    with pytest.raises(ZeroDivisionError):
        await consumer.run()

    assert len(broker.nc._sinks) == before
    assert not broker._reconnect_listeners


async def test_a_read_only_postgres_parks_and_kills_nothing(
    broker: Broker, database: Database, outbox: Outbox, consume: Start, database_dsn: str
) -> None:
    """After a failover the old primary still answers, but takes no writes."""
    admin = await asyncpg.connect(
        database_dsn, server_settings={"default_transaction_read_only": "off"}
    )
    name = await admin.fetchval("SELECT quote_ident(current_database())")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
    others += "current_database() AND pid <> pg_backend_pid()"
    background = Background()
    async with outbox.begin() as uow:
        old = id_floor(uow.now - timedelta(seconds=9))
        await uow.connection.execute(
            "INSERT INTO outbox VALUES ($1, $2, 'billing.evt.x', '{}', '')", uow.now.date(), old
        )
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await admin.execute(others)

    await broker.publish(SUBJECT, grant("k"), wire())
    background.spawn(outbox.run_sweeper(background.stopping), name="sweeper")
    consumer = consume(Route(message=billing.GrantCredits, handler=record))
    pulls = set()

    async def delivered_four_times() -> bool:
        pulls.add(consumer._pull)
        info = await broker.api("CONSUMER.INFO.BILLING.billing")
        return bool(info["delivered"]["consumer_seq"] >= 4)

    await drain(delivered_four_times, what="four deliveries")
    await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await admin.execute(others)
    await admin.close()
    await drain(holds(broker, "BILLING", 0), what="the message")
    await background.stop(timedelta(seconds=5))

    assert await keys_done(database) == ["k"]
    assert len(pulls - {None}) == 1
    assert background.failure is None


def redriver(outbox: Outbox, handler: Any) -> Redrive:
    route = Route(message=billing.GrantCredits, handler=handler)
    subscription = Subscription(stream="BILLING", consumer="billing", routes=(route,))
    return Redrive("billing", outbox, [ExactlyOnce("billing", outbox, subscription)])


async def park_fresh(outbox: Outbox, key: str) -> None:
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO parked VALUES ($1, 'BILLING', 'billing', $2, $3, $4, 'bug', '', $5, "
            "'fresh')",
            new_id(),
            SUBJECT,
            wire(),
            grant(key),
            uow.now,
        )


async def test_a_redriven_body_that_kills_the_process_cannot_loop(
    outbox: Outbox, database: Database
) -> None:
    starts = 0

    async def kill(_command: billing.GrantCredits, _uow: UnitOfWork) -> None:
        nonlocal starts
        starts += 1
        raise asyncio.CancelledError  # the process ends here

    await park_fresh(outbox, "killer")
    redrive = redriver(outbox, kill)
    for _ in range(8):
        try:
            await redrive.run_left_over()
        except asyncio.CancelledError:
            continue

    assert starts <= 5
    assert [row["state"] for row in await parked_rows(database)] == ["parked"]


async def test_a_redrive_that_postgres_interrupts_is_taken_up_again(
    outbox: Outbox, database: Database
) -> None:
    tries = 0

    async def interrupted(command: billing.GrantCredits, uow: UnitOfWork) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncpg.ConnectionDoesNotExistError
        await record(command, uow)

    await park_fresh(outbox, "interrupted")
    redrive = redriver(outbox, interrupted)
    with pytest.raises(DatabaseUnavailableError):
        await redrive.run_left_over()
    await redrive.run_left_over()

    assert await keys_done(database) == ["interrupted"]
    assert [row["state"] for row in await parked_rows(database)] == ["done"]
