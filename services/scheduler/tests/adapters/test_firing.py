"""Timers in Postgres: replaced by version, tombstoned, fired once by any number of replicas."""

import asyncio
from datetime import UTC, datetime, timedelta

from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.ids import uuid7_time
from contracts.scheduler import CancelTimer
from scheduler.adapters.postgres import PostgresTimers
from scheduler.domain import timers
from scheduler.testing import FIRE, arm, execute, fire_all, fired, firing, row, timer


async def cancel(outbox: Outbox, key: str, version: int) -> int:
    command = CancelTimer(key=key, version=version)
    async with outbox.database.read() as connection:
        change = timers.tombstone(command, datetime.now(UTC))
        return await PostgresTimers().change(connection, [change])


async def test_only_a_newer_version_replaces_a_timer(outbox: Outbox) -> None:
    changed = [await arm(outbox, timer(version)) for version in (2, 1, 2, 3)]

    await fire_all(firing(outbox))

    assert changed == [1, 0, 0, 1]
    assert await fired(outbox) == ["k:3"]


async def test_a_tombstone_stops_a_late_schedule(outbox: Outbox) -> None:
    assert await cancel(outbox, "k", 5) == 1

    assert [await arm(outbox, timer(version)) for version in (4, 5)] == [0, 0]
    await fire_all(firing(outbox))

    assert await fired(outbox) == []
    assert await arm(outbox, timer(6)) == 1


async def test_a_cancel_wins_over_the_version_it_names_unless_that_has_fired(
    outbox: Outbox,
) -> None:
    await arm(outbox, timer(2, key="armed", due_in=60), timer(2, key="fired"))
    await fire_all(firing(outbox))

    changed = [await cancel(outbox, key, 2) for key in ("armed", "fired")]

    assert changed == [1, 0]
    assert (await row(outbox, "armed"))["state"] == "cancelled"
    assert (await row(outbox, "fired"))["state"] == "fired"


async def test_nothing_fires_before_the_database_clock_says_so(outbox: Outbox) -> None:
    await arm(outbox, timer(due_in=60))

    assert await firing(outbox).turn() > 0

    assert await fired(outbox) == []


async def test_many_replicas_fire_each_timer_once(outbox: Outbox) -> None:
    await arm(outbox, *(timer(key=f"k{index}", kind=f"kind{index % 3}") for index in range(300)))

    await asyncio.gather(*(fire_all(firing(outbox, fire_batch_max=20)) for _ in range(3)))

    assert len(await fired(outbox)) == len(set(await fired(outbox))) == 300

    async def delivered() -> bool:
        info = await outbox.broker.api("STREAM.INFO.VPN")
        return bool(info["state"]["messages"] == 300)

    await drain(delivered, what="300 fired timers in the VPN stream")


async def test_replacing_and_cancelling_race_with_firing(outbox: Outbox) -> None:
    """Whatever wins: each version fires at most once, and the last armed one exactly once."""
    keys = [f"k{number}" for number in range(40)]
    replicas = [firing(outbox, fire_batch_max=7) for _ in range(2)]
    stopping = False

    async def fire(replica: object) -> None:
        while not stopping:
            await replica.turn()

    async def rearm(key: str) -> None:
        for version in range(1, 6):
            await arm(outbox, timer(version * 2, key=key))
            await cancel(outbox, key, version * 2 - 1)
        await arm(outbox, timer(20, key=key))
        if int(key[1:]) % 2:
            await cancel(outbox, key, 21)

    async with asyncio.TaskGroup() as group:
        turning = [group.create_task(fire(replica)) for replica in replicas]
        await asyncio.gather(*(rearm(key) for key in keys))
        stopping = True
        await asyncio.gather(*turning)
    await fire_all(replicas[0])

    told = await fired(outbox)
    assert len(told) == len(set(told))
    assert {f"k{number}:20" for number in range(0, 40, 2)} <= set(told)
    for number in range(1, 40, 2):
        assert (await row(outbox, f"k{number}"))["state"] == "cancelled"


async def test_a_claim_that_was_not_committed_is_fired_by_another(outbox: Outbox) -> None:
    await arm(outbox, timer())
    store = PostgresTimers()
    async with outbox.database.read() as connection:
        transaction = connection.transaction()
        await transaction.start()
        look = await store.look(connection, {})
        assert len(await store.claim(connection, {FIRE: 5}, look.now)) == 1
        await firing(outbox).turn()
        hidden = await fired(outbox)
        await transaction.rollback()

    await fire_all(firing(outbox))

    assert hidden == []
    assert await fired(outbox) == ["k:1"]


async def test_a_timer_fires_again_when_it_is_set_again(outbox: Outbox) -> None:
    for version in (1, 2):
        await arm(outbox, timer(version))
        await fire_all(firing(outbox))

    assert await fired(outbox) == ["k:1", "k:2"]


async def test_the_id_is_one_a_receiver_accepts_however_late_it_is(outbox: Outbox) -> None:
    late = (0.0, 10 * 86_400.0, 400 * 86_400.0)
    await arm(outbox, *(timer(key=f"k{seconds:.0f}", due_in=-seconds) for seconds in late))

    await fire_all(firing(outbox))

    async with outbox.database.read() as connection:
        rows = await connection.fetch("SELECT id FROM outbox WHERE subject = $1", FIRE)
    now = datetime.now(UTC)
    days = sorted(round((now - uuid7_time(each["id"])) / timedelta(days=1)) for each in rows)
    assert days == [0, 0, 10]
    assert all(outbox.partitions.holds(uuid7_time(each["id"]).date(), now) for each in rows)


async def test_ended_timers_are_forgotten_once_no_late_command_can_come(outbox: Outbox) -> None:
    await arm(
        outbox, *(timer(key=f"k{number}") for number in range(3)), timer(key="armed", due_in=9e6)
    )
    await cancel(outbox, "tombstone", 1)
    replica = firing(outbox)
    await fire_all(replica)
    await execute(
        outbox,
        "UPDATE timers SET changed_at = now() - interval '34 days' "
        "WHERE key IN ('k0', 'tombstone')",
    )
    await execute(outbox, "UPDATE timers SET changed_at = '2020-01-01' WHERE key = 'armed'")

    await replica.forget_ended()

    async with outbox.database.read() as connection:
        left = await connection.fetch("SELECT key FROM timers ORDER BY key")
    assert [each["key"] for each in left] == ["armed", "k1", "k2"]


async def test_the_claim_reads_only_what_is_due(outbox: Outbox) -> None:
    """A scan of everything armed, once a turn, is what a million timers do not forgive."""
    await execute(
        outbox,
        "INSERT INTO timers (key, version, due_at, fire_subject, fire_body, traceparent, state, "
        "changed_at, kind) SELECT 'k' || n, 1, now() + interval '1 day', $1, '', '', 'armed', "
        "now(), $1 FROM generate_series(1, 20000) n",
        FIRE,
    )
    await execute(outbox, "ANALYZE timers")
    await arm(outbox, timer(key="due", kind="other"))
    store = PostgresTimers()
    async with outbox.database.read() as connection:
        before = await _entries_read(connection)
        look = await store.look(connection, {})
        claimed = await store.claim(connection, {FIRE: 100, "other": 100}, look.now)
        read = await _entries_read(connection) - before

    assert [each.key for each in claimed] == ["due"]
    assert sorted(look.heads) == ["other", FIRE]
    assert read < 50


async def _entries_read(connection: object) -> int:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return await connection.fetchval(
        "SELECT sum(idx_tup_read) + (SELECT seq_tup_read FROM pg_stat_user_tables "
        "WHERE relname = 'timers') FROM pg_stat_user_indexes WHERE relname = 'timers'"
    )
