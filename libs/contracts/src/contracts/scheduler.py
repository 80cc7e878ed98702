"""Messages owned by scheduler: durable timers. A fired timer is a hint, never an order."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from contracts.envelope import Command, Event


class ScheduleTimer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Set or replace a timer: a version not above the recorded one of `key` is ignored."""

    subject: ClassVar[str] = "scheduler.cmd.schedule_timer.v1"

    key: str
    version: int
    due_at: datetime
    fire_subject: str
    fire_body: bytes
    traceparent: str = ""


class CancelTimer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Leave a tombstone at `version`, so that a late schedule cannot bring the timer back."""

    subject: ClassVar[str] = "scheduler.cmd.cancel_timer.v1"

    key: str
    version: int


class TimerRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A timer was refused: its subject, body or due date is outside the limits."""

    subject: ClassVar[str] = "scheduler.evt.timer_rejected.v1"

    key: str
    code: str
