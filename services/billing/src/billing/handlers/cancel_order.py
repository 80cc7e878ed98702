"""cancel_order: ask the generator; only its answer, or the hold's expiry, refunds anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from billing.domain import access, orders
from billing.domain.errors import UnknownOrderError
from billing.handlers import announce
from billing.ports import Books
from chassis.consumers import Received
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts import generator
from contracts.billing import CancelOrder
from contracts.errors import RefusalError
from contracts.ids import uuid7_time

ORDER_ON_ITS_WAY = timedelta(seconds=20)
"""So young, a cancel may be here before its order: the replica that had that one died, or the
gateway's row waited for its sweep. Longer than `ack_wait`, and shorter than what parks it."""


async def cancel_orders(
    received: Sequence[Received[CancelOrder]], uow: UnitOfWork, *, books: Books
) -> None:
    found = await books.orders.load(uow.connection, [each.message.order_id for each in received])
    requested = []
    for each in received:
        command = each.message
        try:
            order = found.get(command.order_id)
            if order is None and uow.now - uuid7_time(each.headers.id) < ORDER_ON_ITS_WAY:
                raise TransientError("its order is not here yet")
            if order is None or access.is_access(order):
                # Access is given at once or not at all: there is no job to stop.
                raise UnknownOrderError
            first = orders.request_cancel(order, command.user_id)
        except RefusalError as error:
            announce.rejected(uow, each, error)
            continue
        if first:
            requested.append(order.order_id)
            job = generator.CancelJob(
                order_id=order.order_id, user_id=order.user_id, reason=command.reason
            )
            uow.emit(job, order_id=order.order_id, traceparent=each.traceparent)
    await books.orders.request_cancels(uow.connection, requested)
