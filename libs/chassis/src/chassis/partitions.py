"""Day partitions of inbox and outbox: made ahead, dropped behind."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import asyncpg

from chassis import logs
from chassis.clock import Clock
from chassis.database import Connection, Database
from contracts import topology

log = logs.get("chassis.partitions")
DAYS_AHEAD = 3
MAINTAIN_EVERY = timedelta(hours=1)
LOCK_TIMEOUT = "500ms"


class Partitions:
    """Keeps a partition for every day a message id may fall on: the horizon back, 3 days ahead."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def first_day(self, now: datetime) -> date:
        return (now - topology.INBOX_HORIZON).date()

    def holds(self, day: date, now: datetime) -> bool:
        """Whether an id of that day can be recorded: neither too old nor from the far future."""
        return self.first_day(now) <= day < now.date() + timedelta(days=DAYS_AHEAD)

    async def maintain(self) -> int:
        """Make missing partitions, drop those past their horizon; return how many were dropped."""
        now = self._clock.now()
        async with self._database.read() as connection:
            await connection.execute(
                "SELECT ensure_day_partitions($1, $2, $3)",
                self.first_day(now),
                now.date() - timedelta(days=1),
                now.date() + timedelta(days=DAYS_AHEAD),
            )
            outbox_first = (now - topology.OUTBOX_KEEP).date()
            # One parent at a time: consumers lock both, in the order inbox, outbox.
            dropped = await self._drop(connection, self.first_day(now), date.min)
            return dropped + await self._drop(connection, date.min, outbox_first)

    async def _drop(self, connection: Connection, inbox_before: date, outbox_before: date) -> int:
        """Drop, or leave it for the next hour: whoever waits for this lock stops everybody."""
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                dropped: int = await connection.fetchval(
                    "SELECT drop_day_partitions($1, $2)", inbox_before, outbox_before
                )
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            log.info("old_days_kept_for_now", reason=type(error).__name__)
            return 0
        return dropped
