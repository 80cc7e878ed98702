"""Setting and cancelling durable timers, in the transaction of whoever needs them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from chassis import tracing
from contracts.envelope import Message
from contracts.scheduler import CancelTimer, ScheduleTimer


class Emits(Protocol):
    """The part of a unit of work that is needed here."""

    def emit(self, message: Message, **how: Any) -> Any: ...


def schedule(
    uow: Emits,
    key: str,
    version: int,
    due_at: datetime,
    message: Message,
    *,
    subject: str | None = None,
    **calendar: Any,
) -> None:
    """Have `message` sent at `due_at`, replacing an older version of the timer `key`.

    What fires is a hint: whoever gets it acts only if its own row is due. `calendar`: the further
    fields of ScheduleTimer (kind, catch-up, quiet hours, repetition).
    """
    uow.emit(
        ScheduleTimer(
            key=key,
            version=version,
            due_at=due_at,
            fire_subject=subject or message.subject,
            fire_body=message.encode(),
            traceparent=tracing.inject(),
            **calendar,
        )
    )


def cancel(uow: Emits, key: str, version: int) -> None:
    """Leave a tombstone: a schedule of a lower version that arrives later changes nothing."""
    uow.emit(CancelTimer(key=key, version=version))
