"""job_started: the order runs; it no longer waits in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain.pace import Pace
from billing.ports import Books
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.generator import JobStarted


async def record_jobs_started(
    received: Sequence[Received[JobStarted]], uow: UnitOfWork, *, books: Books, pace: Pace
) -> None:
    events = {each.message.order_id: each.message for each in reversed(received)}
    starts = [(event.order_id, event.server, event.started_at) for event in events.values()]
    for pool, server in await books.orders.start(uow.connection, starts):
        pace.started(pool, server, uow.now)
