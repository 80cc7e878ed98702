"""Messages leave with their transaction, after it, and not without it."""

from datetime import timedelta

import pytest

from chassis.broker import Broker
from chassis.clock import SystemClock, id_floor
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts import billing


def event(reason: str = "r") -> billing.CreditsGranted:
    return billing.CreditsGranted(user_id=1, credits=1, lot="bonus", reason=reason)


async def count(broker: Broker, stream: str = "EVENTS") -> int:
    return int((await broker.api(f"STREAM.INFO.{stream}"))["state"]["messages"])


async def test_nothing_leaves_a_transaction_that_fails(
    outbox: Outbox, broker: Broker, database: Database
) -> None:
    async def fails() -> None:
        async with outbox.begin() as uow:
            uow.emit(event())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    async with outbox.begin() as uow:
        uow.emit(event())

    async def one() -> bool:
        return await count(broker) == 1

    await drain(one, what="the second event")
    async with database.read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 1


async def test_the_sweeper_publishes_what_a_dead_process_left(
    database: Database, broker: Broker
) -> None:
    dead = Outbox(database, broker, SystemClock())
    await dead.partitions.maintain()
    old = id_floor(dead.clock.now() - timedelta(seconds=5))
    async with dead.begin() as uow:
        uow.emit(event(), id=old)
    assert await count(broker) == 0

    assert await dead.sweep() == 1
    assert await dead.sweep() == 0

    assert await count(broker) == 1


async def test_a_row_published_twice_is_stored_once(database: Database, broker: Broker) -> None:
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    old = id_floor(outbox.clock.now() - timedelta(seconds=5))
    async with outbox.begin() as uow:
        uow.emit(event(), id=old)
    await broker.publish_all([row.outgoing() for row in uow.rows])

    assert await outbox.sweep() == 1

    assert await count(broker) == 1


async def test_a_sweep_tells_how_far_publishing_lags(database: Database, broker: Broker) -> None:
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    async with outbox.begin() as uow:
        uow.emit(event(), id=id_floor(outbox.clock.now() - timedelta(seconds=90)))

    await outbox.sweep()
    lag = outbox.lag_seconds
    await outbox.sweep()

    assert 89 < lag < 100
    assert outbox.lag_seconds == 0


async def test_a_message_over_the_limit_is_refused_before_it_is_stored(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="bytes"):
        async with outbox.begin() as uow:
            uow.emit(event("x" * 1_000_001))


async def test_old_marked_days_are_dropped_and_unpublished_ones_kept(
    database: Database, outbox: Outbox
) -> None:
    today = outbox.clock.now().date()
    async with database.read() as connection:
        for days in (20, 19):
            day = today - timedelta(days=days)
            await connection.execute("SELECT ensure_day_partitions($1, $2, $3)", today, day, day)
            await connection.execute(
                "INSERT INTO outbox (day, id, subject, headers, body, published_at) "
                "VALUES ($1, gen_random_uuid(), 's', '{}', '', $2)",
                day,
                None if days == 19 else outbox.clock.now(),
            )

    dropped = await outbox.partitions.maintain()

    assert dropped == 1
    async with database.read() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_hook_runs_after_the_commit_and_not_without_it(outbox: Outbox) -> None:
    seen: list[bool] = []

    async def fails() -> None:
        async with outbox.begin() as uow:
            uow.after_commit(lambda: seen.append(False))
            raise ZeroDivisionError

    async with outbox.begin() as uow:
        hook = uow.connection.is_in_transaction
        uow.after_commit(lambda: seen.append(True))
        assert hook()
        assert seen == []
    with pytest.raises(ZeroDivisionError):
        await fails()

    assert seen == [True]
