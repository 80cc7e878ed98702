"""schedule_timer and cancel_timer: both say what becomes of a key, so one statement does both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.scheduler import CancelTimer, ScheduleTimer, TimerRejected
from scheduler.domain import timers
from scheduler.domain.timers import Change, KindTerms
from scheduler.ports import Timers

log = logs.get("scheduler.timers")
SOON = timedelta(seconds=2)
"""Longer than the firing loop ever sleeps: what is due later it finds by itself."""

Commands = Sequence[Received[ScheduleTimer | CancelTimer]]


async def change_timers(
    commands: Commands,
    uow: UnitOfWork,
    *,
    store: Timers,
    kinds: Mapping[str, KindTerms],
    wake: Callable[[], None],
) -> None:
    changes = [
        change for each in commands if (change := _change(each, uow, kinds=kinds)) is not None
    ]
    if not changes:
        return
    await store.change(uow.connection, timers.latest(changes))
    if any(each.state == timers.ARMED and each.due_at < uow.now + SOON for each in changes):
        uow.after_commit(wake)


def _change(
    each: Received[ScheduleTimer | CancelTimer],
    uow: UnitOfWork,
    *,
    kinds: Mapping[str, KindTerms],
) -> Change | None:
    """Return what the command means; a refusal is told and stops only itself."""
    command = each.message
    try:
        if isinstance(command, CancelTimer):
            return timers.tombstone(command, uow.now)
        if each.producer:
            timers.refuse_borrowed(each.producer, command)
        return timers.planned(command, uow.now, traceparent=each.traceparent, kinds=kinds)
    except RefusalError as refusal:
        log.info("refused", subject=command.subject, code=refusal.code, reason=str(refusal))
        rejected = TimerRejected(
            key=command.key, code=refusal.code, version=command.version, reason=str(refusal)
        )
        uow.emit(rejected, traceparent=each.traceparent)
        return None
