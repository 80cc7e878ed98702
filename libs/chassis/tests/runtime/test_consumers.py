"""Every sentence of the exactly-once runtime, over a real nats-server and a real Postgres."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from chassis.broker import Broker, OutgoingMessage
from chassis.clock import id_floor, new_id
from chassis.consumers import ExactlyOnce, Received, Route
from chassis.database import Connection, Database
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.errors import RefusalError
from contracts.ids import MessageId

Start = Callable[..., ExactlyOnce]


def grant(key: str, user_id: int = 1) -> billing.GrantCredits:
    return billing.GrantCredits(grant_key=key, user_id=user_id, credits=1, reason="t", actor="t")


async def send(broker: Broker, *keys: str, ids: Sequence[UUID] = (), user_id: int = 1) -> None:
    messages = []
    for index, key in enumerate(keys):
        headers = Headers(id=MessageId(ids[index] if ids else new_id()))
        body = grant(key, user_id).encode()
        messages.append(OutgoingMessage(billing.GrantCredits.subject, body, headers.to_wire()))
    assert all(await broker.publish_all(messages))


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute(
        "INSERT INTO done (id, key) VALUES ($1, $2)", new_id(), command.grant_key
    )
    uow.emit(
        billing.CreditsGranted(
            user_id=command.user_id, credits=1, lot="bonus", reason=command.grant_key
        )
    )


async def keys_done(database: Database) -> list[str]:
    async with database.read() as connection:
        rows = await connection.fetch("SELECT key FROM done ORDER BY at")
    return [row["key"] for row in rows]


async def published(broker: Broker, stream: str = "EVENTS") -> int:
    info = await broker.api(f"STREAM.INFO.{stream}")
    return int(info["state"]["messages"])


async def left(broker: Broker) -> int:
    return await published(broker, "BILLING")


async def test_a_batch_is_handled_once_acked_and_its_events_published(
    broker: Broker, database: Database, consume: Start
) -> None:
    keys = [f"k{index}" for index in range(300)]
    await send(broker, *keys)

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(lambda: _is(left(broker), 0), what="the stream to be empty")
    assert await keys_done(database) == keys
    await drain(lambda: _is(published(broker), 300), what="300 events")

    async def all_marked() -> bool:
        # One transaction's after the other: how many messages each takes is nobody's promise.
        async with database.read() as connection:
            waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
            return await connection.fetchval(waiting) == 0

    await drain(all_marked, what="every event marked as published")


async def _is(found: object, wanted: int) -> bool:
    return await found == wanted  # type: ignore[misc]


async def test_a_message_delivered_again_takes_effect_once(
    broker: Broker, database: Database, outbox: Outbox, consume: Start
) -> None:
    message_id = new_id()
    headers = Headers(id=MessageId(message_id)).to_wire()
    async with outbox.begin() as uow:
        await uow.connection.execute(
            "INSERT INTO inbox (day, id) VALUES ($1, $2)", uow.now.date(), message_id
        )
    await broker.publish(billing.GrantCredits.subject, grant("again").encode(), headers)

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(lambda: _is(left(broker), 0), what="the repeat to be acked")
    assert await keys_done(database) == []


async def test_a_refusal_undoes_the_handler_and_records_its_event(
    broker: Broker, database: Database, consume: Start
) -> None:
    async def refuse(command: billing.GrantCredits, uow: UnitOfWork) -> None:
        await record(command, uow)
        if command.grant_key == "bad":
            raise RefusalError(code="invalid")

    def refused(command: billing.GrantCredits, error: RefusalError) -> billing.CommandRejected:
        return billing.CommandRejected(
            command_subject=command.subject, command_id=new_id(), code=error.code
        )

    await send(broker, "good", "bad", "fine")
    consume(Route(message=billing.GrantCredits, handler=refuse, on_refusal=refused))

    await drain(lambda: _is(left(broker), 0), what="all three to be acked")
    assert await keys_done(database) == ["good", "fine"]
    await drain(lambda: _is(published(broker), 3), what="two events and a refusal")


async def test_a_bug_in_one_message_does_not_stop_the_others_and_is_parked(
    broker: Broker, database: Database, consume: Start
) -> None:
    async def burst(command: billing.GrantCredits, uow: UnitOfWork) -> None:
        if command.grant_key == "poison":
            raise ZeroDivisionError
        await record(command, uow)

    await send(broker, "a", "poison", "b")
    consume(Route(message=billing.GrantCredits, handler=burst), starts_max=1)

    await drain(lambda: _is(left(broker), 0), within=timedelta(seconds=30), what="the parking")
    assert sorted(await keys_done(database)) == ["a", "b"]
    async with database.read() as connection:
        row = await connection.fetchrow("SELECT * FROM parked")
    assert row["state"] == "parked"
    assert row["subject"] == billing.GrantCredits.subject
    await drain(lambda: _is(published(broker, "DEAD"), 1), what="the notice")


async def test_a_transient_error_is_tried_again(
    broker: Broker, database: Database, consume: Start
) -> None:
    tries = []

    async def flaky(command: billing.GrantCredits, uow: UnitOfWork) -> None:
        tries.append(command.grant_key)
        if len(tries) == 1:
            raise TransientError("not now")
        await record(command, uow)

    await send(broker, "once")
    consume(Route(message=billing.GrantCredits, handler=flaky))

    await drain(lambda: _is(left(broker), 0), what="the second try")
    assert await keys_done(database) == ["once"]
    assert len(tries) == 2


async def test_locks_come_sorted_and_before_any_handler(
    broker: Broker, database: Database, consume: Start
) -> None:
    seen: list[object] = []

    async def lock(_connection: Connection, keys: Sequence[int]) -> None:
        seen.append(list(keys))

    async def handle(received: Sequence[Received[billing.GrantCredits]], _: UnitOfWork) -> None:
        seen.append([each.message.user_id for each in received])

    for user_id in (9, 2, 5, 2):
        await send(broker, f"u{user_id}", user_id=user_id)
    consume(Route(message=billing.GrantCredits, handler=handle, batch=True), lock=lock)

    await drain(lambda: _is(left(broker), 0), what="the batch")
    locks, handled = seen[::2], seen[1::2]
    assert [sorted(set(users)) for users in handled] == locks


async def test_a_batch_handler_that_fails_is_run_one_by_one(
    broker: Broker, database: Database, consume: Start
) -> None:
    sizes: list[int] = []

    async def handle(received: Sequence[Received[billing.GrantCredits]], uow: UnitOfWork) -> None:
        sizes.append(len(received))
        for each in received:
            await record(each.message, uow)
        if len(received) > 1:
            raise RuntimeError

    await send(broker, "a", "b", "c")
    consume(Route(message=billing.GrantCredits, handler=handle, batch=True))

    await drain(lambda: _is(left(broker), 0), what="all to be acked")
    assert sorted(await keys_done(database)) == ["a", "b", "c"]


async def test_routes_with_one_batch_handler_share_its_batch_in_order_of_delivery(
    broker: Broker, consume: Start
) -> None:
    taken: list[list[str]] = []

    arrived = asyncio.Event()

    async def take(batch: Sequence[Received[billing.GrantCredits]], uow: UnitOfWork) -> None:
        taken.append([each.subject for each in batch])
        await arrived.wait()

    grants, trials = billing.GrantCredits, billing.OpenAccount
    messages = [grant("a"), trials(user_id=1), grant("b"), trials(user_id=1), grant("c")]
    outgoing = [
        OutgoingMessage(each.subject, each.encode(), Headers(id=MessageId(new_id())).to_wire())
        for each in messages
    ]
    # A batch is what has come: the first message holds up the others until all are there.
    await send(broker, "first")
    consumer = consume(
        *(Route(message=kind, handler=take, batch=True) for kind in (grants, trials))
    )
    await drain(lambda: taken, what="the first message")
    assert all(await broker.publish_all(outgoing))
    await drain(lambda: len(consumer._pull._buffer) == len(messages), what="the others")
    arrived.set()

    await drain(lambda: _is(left(broker), 0), what="the batch")
    assert taken == [[grants.subject], [each.subject for each in messages]]


async def test_an_outdated_state_is_ignored(
    broker: Broker, database: Database, consume: Start
) -> None:
    seen: list[str] = []

    async def handle(event: billing.TierSet, _: UnitOfWork) -> None:
        seen.append(event.tier)

    for version, tier in ((2, "vip"), (1, "none"), (2, "none"), (3, "black_gold")):
        headers = Headers(id=MessageId(new_id()), aggregate="user:1", version=version)
        body = billing.TierSet(user_id=1, tier=tier).encode()
        await broker.publish("billing.cmd.as_state.v1", body, headers.to_wire())

    class StateCommand(billing.TierSet, frozen=True, kw_only=True):
        subject = "billing.cmd.as_state.v1"

    consume(Route(message=StateCommand, handler=handle))

    await drain(lambda: _is(left(broker), 0), what="all four")
    assert seen == ["vip", "black_gold"]


@pytest.mark.parametrize("age", [timedelta(days=40), timedelta(hours=2)])
async def test_what_nobody_understands_is_parked_after_its_patience(
    broker: Broker, outbox: Outbox, database: Database, consume: Start, age: timedelta
) -> None:
    old = id_floor(outbox.clock.now() - age)
    await broker.publish(
        "billing.cmd.from_the_future.v9", b"\xc1", Headers(id=MessageId(old)).to_wire()
    )

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(lambda: _is(left(broker), 0), what="the parking")
    async with database.read() as connection:
        assert await connection.fetchval("SELECT reason FROM parked") == "undecodable or unknown"


async def test_what_nobody_understands_yet_is_handed_back_first(
    broker: Broker, database: Database, consume: Start
) -> None:
    await broker.publish(
        "billing.cmd.from_the_future.v9", b"x", Headers(id=MessageId(new_id())).to_wire()
    )

    consume(Route(message=billing.GrantCredits, handler=record))

    async def waiting() -> bool:
        info = await broker.api("CONSUMER.INFO.BILLING.billing")
        return bool(info["num_ack_pending"] == 1 and info["num_pending"] == 0)

    await drain(waiting, what="the delayed hand-back")
    assert await left(broker) == 1


async def test_a_malformed_message_is_parked_and_the_next_one_handled(
    broker: Broker, outbox: Outbox, database: Database, consume: Start
) -> None:
    old = id_floor(outbox.clock.now() - timedelta(hours=2))
    subject = billing.GrantCredits.subject
    await broker.publish(subject, b"\xc1 not msgpack", Headers(id=MessageId(old)).to_wire())
    await broker.publish(subject, grant("no id").encode(), {})
    await send(broker, "good")

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(lambda: _is(left(broker), 0), what="all three to be settled")
    assert await keys_done(database) == ["good"]
    async with database.read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM parked") == 2


async def test_an_id_older_than_the_inbox_is_parked_not_run(
    broker: Broker, outbox: Outbox, database: Database, consume: Start
) -> None:
    old = id_floor(outbox.clock.now() - timedelta(days=32))
    await send(broker, "ancient", ids=[old])

    consume(Route(message=billing.GrantCredits, handler=record))

    await drain(lambda: _is(left(broker), 0), what="the parking")
    assert await keys_done(database) == []
    async with database.read() as connection:
        reason = await connection.fetchval("SELECT reason FROM parked")
    assert reason == "its id is outside the inbox horizon"
