"""Old rows go once nothing can ask for them; what an operator still has to see stays."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from chassis import inbox, retention
from chassis.backlog import Backlog
from chassis.clock import new_id
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.retention import KEEP, Retention
from contracts.envelope import HEADER_AGGREGATE

DAY = timedelta(days=1)


async def settled(database: Database, key: str, at: datetime | None, due_at: datetime) -> None:
    async with database.read() as connection:
        await connection.execute(
            "INSERT INTO effects (key, kind, body, traceparent, due_at, state, settled_at) "
            "VALUES ($1, 'toy', '', '', $3, CASE WHEN $2::timestamptz IS NULL THEN 'due' "
            "ELSE 'done' END, $2)",
            key,
            at,
            due_at,
        )


async def parked_row(
    database: Database, state: str, at: datetime, aggregate: str = "", *, redriven: bool = False
) -> None:
    async with database.read() as connection:
        await connection.execute(
            "INSERT INTO parked VALUES ($1, 'S', 'c', 's', $2, '', 'bug', '', $3, $4, $5)",
            new_id(),
            {HEADER_AGGREGATE: aggregate},
            at,
            state,
            at if redriven else None,
        )


async def keys(database: Database, column: str, table: str) -> list[Any]:
    async with database.read() as connection:
        rows = await connection.fetch(f"SELECT {column} FROM {table} ORDER BY 1")
    return [row[0] for row in rows]


def make(outbox: Outbox) -> Retention:
    return Retention(outbox.database, outbox.clock, asyncio.Event())


async def test_old_rows_of_every_kind_are_deleted_and_young_ones_kept(
    outbox: Outbox, database: Database
) -> None:
    now = outbox.clock.now()
    old, young = now - KEEP - DAY, now - KEEP + DAY
    await settled(database, "old", old, old)
    await settled(database, "young", young, old)
    await settled(database, "still due", None, old)
    await parked_row(database, "done", old, redriven=True)
    await parked_row(database, "done", young, redriven=True)
    async with database.read() as connection:
        await inbox.is_newer(connection, aggregate="old", version=1, now=old)
        await inbox.is_newer(connection, aggregate="young", version=1, now=young)
        await connection.execute("INSERT INTO starts VALUES ($1, 1, $2)", new_id(), old)

    assert await make(outbox).run_once() == 4

    assert await keys(database, "key", "effects") == ["still due", "young"]
    assert await keys(database, "redriven_at", "parked") == [young]
    assert await keys(database, "aggregate", "aggregate_versions") == ["young"]
    assert await keys(database, "id", "starts") == []


@pytest.mark.parametrize("state", ["parked", "fresh"])
async def test_what_waits_for_an_operator_stays_and_keeps_what_it_may_ask_for(
    outbox: Outbox, database: Database, state: str
) -> None:
    now = outbox.clock.now()
    parked_at = now - 3 * KEEP
    before, after = parked_at - KEEP - DAY, parked_at - KEEP + DAY
    await parked_row(database, state, parked_at, "order:1")
    await settled(database, "before", before, before)
    await settled(database, "after", after, after)
    async with database.read() as connection:
        for aggregate in ("order:1", "order:2"):
            await inbox.is_newer(connection, aggregate=aggregate, version=1, now=before)

    await make(outbox).run_once()

    assert await keys(database, "state", "parked") == [state]
    assert await keys(database, "key", "effects") == ["after"]
    assert await keys(database, "aggregate", "aggregate_versions") == ["order:1"]


async def test_many_old_rows_go_in_small_batches_past_what_somebody_holds(
    outbox: Outbox, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_MAX", 10)
    old = outbox.clock.now() - KEEP - DAY
    for number in range(25):
        await settled(database, f"{number:02}", old, old)

    async with database.read() as holder, holder.transaction():
        await holder.execute("SELECT FROM effects WHERE key = '07' FOR UPDATE")
        async with asyncio.timeout(30):
            assert await make(outbox).run_once() == 24

    assert await keys(database, "key", "effects") == ["07"]
    assert await make(outbox).run_once() == 1


async def test_the_backlog_tells_what_waits_and_how_long(
    outbox: Outbox, database: Database
) -> None:
    now = outbox.clock.now()
    backlog = Backlog(database, outbox.clock)
    await backlog.sample()
    nothing = (backlog.parked_waiting, backlog.parked_oldest_seconds, backlog.effects_lag_seconds)
    await parked_row(database, "parked", now - timedelta(seconds=90))
    await parked_row(database, "fresh", now - timedelta(seconds=30))
    await parked_row(database, "done", now - DAY, redriven=True)
    await settled(database, "done", now, now - DAY)
    await settled(database, "overdue", None, now - timedelta(seconds=50))
    await settled(database, "at work", None, now - DAY)
    await settled(database, "later", None, now + DAY)
    async with database.read() as connection:
        await connection.execute(
            "UPDATE effects SET leased_until = $1 WHERE key = 'at work'", now + DAY
        )

    await backlog.sample()

    assert nothing == (0, 0.0, 0.0)
    assert backlog.parked_waiting == 2
    assert 90 <= backlog.parked_oldest_seconds < 100
    assert 50 <= backlog.effects_lag_seconds < 60
