"""Timers in Postgres: replaced by version, tombstoned, fired once by any number of replicas."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from chassis import bootstrap, migrations
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.scheduler import ScheduleTimer
from scheduler.adapters.postgres import PostgresTimers
from scheduler.jobs import Firing
from scheduler.main import MIGRATIONS, pace_of
from scheduler.settings import Settings

FIRE = "vpn.cmd.revoke_access.v1"


@pytest.fixture
async def outbox(database_dsn: str, nats_url: str) -> AsyncIterator[Outbox]:
    await migrations.migrate(database_dsn, schema="scheduler", folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema="scheduler")
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    background = Background()
    background.spawn(outbox.run_publisher(), name="publisher")
    yield outbox
    outbox.stop()
    await background.stop(timedelta(seconds=5))
    await database.close()
    await broker.close()


def timer(version: int, *, due_in: float = 0.0, key: str = "k") -> ScheduleTimer:
    due_at = datetime.now(UTC) + timedelta(seconds=due_in)
    return ScheduleTimer(
        key=key, version=version, due_at=due_at, fire_subject=FIRE, fire_body=b"%d" % version
    )


def firing(outbox: Outbox, **settings: object) -> Firing:
    return Firing(outbox, PostgresTimers(), pace_of(Settings(database_url="unused", **settings)))


async def arm(outbox: Outbox, *timers: ScheduleTimer) -> list[bool]:
    store = PostgresTimers()
    async with outbox.database.read() as connection:
        return [
            await store.arm(connection, each, traceparent="", now=datetime.now(UTC))
            for each in timers
        ]


async def fired(outbox: Outbox) -> list[bytes]:
    async with outbox.database.read() as connection:
        rows = await connection.fetch("SELECT body FROM outbox WHERE subject = $1", FIRE)
    return sorted(row["body"] for row in rows)


async def test_only_a_newer_version_replaces_a_timer(outbox: Outbox) -> None:
    assert await arm(outbox, timer(2), timer(1), timer(2), timer(3)) == [True, False, False, True]

    await firing(outbox).fire_once()
    await firing(outbox).fire_once()

    assert await fired(outbox) == [b"3"]


async def test_a_tombstone_stops_a_late_schedule(outbox: Outbox) -> None:
    store = PostgresTimers()
    async with outbox.database.read() as connection:
        assert await store.cancel(connection, "k", 5, now=datetime.now(UTC))

    assert await arm(outbox, timer(4), timer(5)) == [False, False]
    await firing(outbox).fire_once()

    assert await fired(outbox) == []


async def test_nothing_fires_before_the_database_clock_says_so(outbox: Outbox) -> None:
    await arm(outbox, timer(1, due_in=60))

    assert await firing(outbox).fire_once() == 0


async def test_two_replicas_fire_each_timer_once(outbox: Outbox) -> None:
    await arm(outbox, *(timer(1, key=f"k{index}") for index in range(300)))
    replicas = [firing(outbox, fire_batch_max=20) for _ in range(2)]

    async def run(replica: Firing) -> None:
        while await replica.fire_once():
            pass

    await asyncio.gather(*(run(replica) for replica in replicas))

    assert len(await fired(outbox)) == 300

    async def delivered() -> bool:
        info = await outbox.broker.api("STREAM.INFO.VPN")
        return bool(info["state"]["messages"] == 300)

    await drain(delivered, what="300 fired timers in the VPN stream")


async def test_a_due_tick_fires_once_and_moves_on(outbox: Outbox) -> None:
    store = PostgresTimers()
    replica = firing(outbox)
    async with outbox.database.read() as connection:
        await store.set_ticks(connection, pace_of(Settings(database_url="unused")).ticks)
        await connection.execute(
            "UPDATE ticks SET due_at = now() - interval '10 days' WHERE name = 'run_audit'"
        )

    assert await replica.fire_once() == 1
    assert await replica.fire_once() == 0

    async with outbox.database.read() as connection:
        subjects = await connection.fetch("SELECT subject FROM outbox")
        due = await connection.fetchval(
            "SELECT due_at > now() AND due_at <= now() + interval '1 hour' "
            "FROM ticks WHERE name = 'run_audit'"
        )
    assert [row["subject"] for row in subjects] == ["billing.cmd.run_audit.v1"]
    assert due
