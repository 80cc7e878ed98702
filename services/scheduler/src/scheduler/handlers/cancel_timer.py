from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts import scheduler
from scheduler.ports import Timers


async def cancel_timer(command: scheduler.CancelTimer, uow: UnitOfWork, *, store: Timers) -> None:
    await store.cancel(uow.connection, command.key, command.version, now=uow.now)
