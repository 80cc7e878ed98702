"""delivery_recorded: the result reached its chat, or never can."""

from __future__ import annotations

from collections.abc import Sequence

from billing.ports import Books
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.gateway import DeliveryRecorded


async def record_deliveries(
    received: Sequence[Received[DeliveryRecorded]], uow: UnitOfWork, *, books: Books
) -> None:
    events = [each.message for each in received]
    # Of several words about one order the one with a message id stands: the last one wins.
    told = {
        event.order_id: (event.order_id, event.message_id, event.reason)
        for event in sorted(events, key=lambda event: event.message_id != 0)
    }
    await books.orders.record_deliveries(uow.connection, list(told.values()), uow.now)
