"""Day partitions of inbox and outbox: made ahead, dropped behind."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from chassis.clock import Clock
from chassis.database import Database
from contracts import topology

DAYS_AHEAD = 3
MAINTAIN_EVERY = timedelta(hours=1)


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
            dropped: int = await connection.fetchval(
                "SELECT drop_day_partitions($1, $2)",
                self.first_day(now),
                (now - topology.OUTBOX_KEEP).date(),
            )
        return dropped
