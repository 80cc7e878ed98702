"""Time and ids come in from here: the one module that reads the system clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import uuid_utils

IdFactory = Callable[[], UUID]


class Clock(Protocol):
    """Where a component learns the time; tests pass their own."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def new_id() -> UUID:
    """Return a fresh UUIDv7: it carries its own time, which the inbox partitions by."""
    return UUID(int=uuid_utils.uuid7().int)


def id_floor(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 of a moment, so that 'older than' is a comparison of ids."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62))
