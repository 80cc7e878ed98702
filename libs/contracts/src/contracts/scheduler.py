"""Messages owned by scheduler: durable timers. A fired timer is a hint, never an order."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.envelope import Command, Event

CATCH_UP_FIRE = "fire"
"""However late, it fires, once: also a repeating timer that missed many of its times."""
CATCH_UP_SKIP = "skip"
"""Later than `late_max_seconds` it does not fire: what it would say is no longer wanted."""
CATCH_UP_COALESCE = "coalesce"
"""Of several overdue timers of its `group` only the newest fires."""

UNIT_DAY = "day"
UNIT_WEEK = "week"
UNIT_MONTH = "month"
UNIT_YEAR = "year"


class Repeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A timer that comes again: every `every` units at the local time `at` (HH:MM).

    Counted from the local date of `due_at`, which also gives weekday, day and month. `day` (of a
    month or year) names another day; a day that a month has not got is its last one, so 31 is
    always the last. A time the clocks jump over is the first moment after the jump; one they show
    twice is the first of both.
    """

    unit: str
    at: str
    every: int = 1
    day: int = 0


class ScheduleTimer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Set or replace a timer: a version not above the recorded one of `key` is ignored.

    `kind`: what shares a limit and takes turns with other kinds; empty: its `fire_subject`.
    `catch_up`: what happens when it is late (CATCH_UP_*); empty: as its kind's settings say, else
    fire. `group`: with whom it coalesces. `quiet_from`, `quiet_until` (HH:MM in `time_zone`, an
    IANA name): a due moment inside is moved to their end. `repeat` needs `time_zone` too; the first
    time is not before `due_at`.
    """

    subject: ClassVar[str] = "scheduler.cmd.schedule_timer.v1"

    key: str
    version: int
    due_at: datetime
    fire_subject: str
    fire_body: bytes
    traceparent: str = ""
    kind: str = ""
    catch_up: str = ""
    late_max_seconds: int = 0
    group: str = ""
    time_zone: str = ""
    quiet_from: str = ""
    quiet_until: str = ""
    repeat: Repeat | None = None

    def order_keys(self) -> tuple[Hashable, ...]:
        return (self.key,)


class CancelTimer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Leave a tombstone at `version`, so that a late schedule cannot bring the timer back."""

    subject: ClassVar[str] = "scheduler.cmd.cancel_timer.v1"

    key: str
    version: int

    def order_keys(self) -> tuple[Hashable, ...]:
        return (self.key,)


class TimerRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A timer was refused: its subject, body, calendar or due date is outside the limits."""

    subject: ClassVar[str] = "scheduler.evt.timer_rejected.v1"

    key: str
    code: str
    version: int = 0
    reason: str = ""
    """Which limit, in words for whoever wrote the sender."""
