"""Start a sweep of stored objects that nothing refers to; the tick is only a hint."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.gateway import SweepMedia
from gateway.ports import Sweeper


async def sweep_media(_command: SweepMedia, _uow: UnitOfWork, *, sweeper: Sweeper) -> None:
    sweeper.request()
