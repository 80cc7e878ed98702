"""What waits in the runtime's own tables, for the gauges that tell an operator."""

from __future__ import annotations

from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.database import Database

SAMPLE_EVERY = timedelta(seconds=15)


class Backlog:
    """Parked messages that wait for an operator, and effects that should have begun."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.parked_waiting = 0
        self.parked_oldest_seconds = 0.0
        """The age of the message that waits longest; 0: none waits."""
        self.effects_lag_seconds = 0.0
        """How long the most overdue effect is due without anybody at work on it; 0: none is."""

    async def sample(self) -> None:
        """Read the figures; a gauge shows the last ones read."""
        now = self._clock.now()
        async with self._database.read() as connection:
            parked = await connection.fetchrow(
                "SELECT count(*) AS waiting, min(parked_at) AS oldest FROM parked "
                "WHERE state <> 'done'"
            )
            due_at = await connection.fetchval(
                "SELECT min(due_at) FROM effects WHERE state = 'due' AND due_at <= $1 "
                "AND (leased_until IS NULL OR leased_until <= $1)",
                now,
            )
        assert parked is not None
        self.parked_waiting = parked["waiting"]
        self.parked_oldest_seconds = _age(parked["oldest"], now)
        self.effects_lag_seconds = _age(due_at, now)


def _age(since: datetime | None, now: datetime) -> float:
    return (now - since).total_seconds() if since is not None else 0.0
