"""What the scheduler's tests share: timers to set, and the tables as they are afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.outbox import Outbox
from contracts.scheduler import ScheduleTimer
from scheduler.adapters.postgres import PostgresTimers
from scheduler.domain import timers
from scheduler.domain.timers import Change
from scheduler.jobs import Firing
from scheduler.main import pace_of
from scheduler.settings import Settings

QUIET_SECONDS = 0.5
FIRE = "vpn.cmd.check_subscription.v1"


def timer(version: int = 1, *, due_in: float = 0.0, key: str = "k", **more: Any) -> ScheduleTimer:
    """Return a timer whose body is its key and version."""
    fields = {
        "due_at": datetime.now(UTC) + timedelta(seconds=due_in),  # noqa: TID251 - tests are their own clock
        "fire_subject": FIRE,
        "fire_body": f"{key}:{version}".encode(),
        **more,
    }
    return ScheduleTimer(key=key, version=version, **fields)


def change(command: ScheduleTimer) -> Change:
    now = datetime.now(UTC)  # noqa: TID251 - tests are their own clock
    return timers.planned(command, now, traceparent="", kinds={})


def firing(outbox: Outbox, **settings: Any) -> Firing:
    return Firing(outbox, PostgresTimers(), pace_of(Settings(database_url="unused", **settings)))


async def arm(outbox: Outbox, *commands: ScheduleTimer) -> int:
    """Arm as the handler does; return how many of them changed anything."""
    async with outbox.database.read() as connection:
        changes = timers.latest([change(each) for each in commands])
        return await PostgresTimers().change(connection, changes)


async def fire_all(replica: Firing, *, turns_max: int = 1_000) -> None:
    """Let a replica work until nothing is due for a while."""
    for _ in range(turns_max):
        if await replica.turn() > QUIET_SECONDS:
            return
    raise AssertionError("something is always due")


async def fired(outbox: Outbox, subject: str = FIRE) -> list[str]:
    """Return the bodies that were emitted."""
    async with outbox.database.read() as connection:
        rows = await connection.fetch("SELECT body FROM outbox WHERE subject = $1", subject)
    return sorted(row["body"].decode() for row in rows)


async def row(outbox: Outbox, key: str) -> dict[str, Any]:
    async with outbox.database.read() as connection:
        found = await connection.fetchrow("SELECT * FROM timers WHERE key = $1", key)
    return dict(found) if found is not None else {}


async def execute(outbox: Outbox, statement: str, *values: object) -> None:
    async with outbox.database.read() as connection:
        await connection.execute(statement, *values)
