"""What the handlers need of storage."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chassis.database import Connection
from contracts.scheduler import ScheduleTimer


class Timers(Protocol):
    """Timers by key; a version not above the recorded one changes nothing."""

    async def arm(
        self, connection: Connection, timer: ScheduleTimer, *, traceparent: str, now: datetime
    ) -> bool:
        """Set or replace a timer; return whether anything changed."""
        ...

    async def cancel(
        self, connection: Connection, key: str, version: int, *, now: datetime
    ) -> bool:
        """Leave a tombstone; return whether anything changed."""
        ...
