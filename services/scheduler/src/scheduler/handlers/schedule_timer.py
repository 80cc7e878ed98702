from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts import scheduler
from scheduler.domain import timers
from scheduler.ports import Timers


async def schedule_timer(
    command: scheduler.ScheduleTimer, uow: UnitOfWork, *, store: Timers
) -> None:
    timers.check(command, uow.now)
    trace = command.traceparent or uow.traceparent
    await store.arm(uow.connection, command, traceparent=trace, now=uow.now)
