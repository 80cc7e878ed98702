"""Results nobody confirmed the delivery of: ask the gateway again, ever more seldom."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from billing.domain.terms import Terms
from billing.ports import Books
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts.gateway import DeliverResult
from contracts.media import MediaRef

log = logs.get("billing.orders")
_OUTPUTS = msgspec.msgpack.Decoder(tuple[MediaRef, ...])
DOUBLINGS_MAX = 16


async def ask_deliveries(uow: UnitOfWork, *, books: Books, terms: Terms) -> int:
    """Emit deliver_result for what is due, at most `rows_max`; return how many."""
    due = await books.orders.lock_undelivered(uow.connection, uow.now, terms.rows_max)
    for result in due:
        command = DeliverResult(
            order_id=result.order_id,
            user_id=result.user_id,
            workflow_id=result.workflow_id,
            charged_credits=result.charged_credits,
            outputs=_OUTPUTS.decode(result.outputs),
            gift=result.gift,
        )
        uow.emit(command, order_id=result.order_id, traceparent=result.traceparent)
        log.warning("delivery_asked_again", order_id=str(result.order_id), asked=result.asked + 1)
    postponed = [(result.order_id, uow.now + _spacing(result.asked, terms)) for result in due]
    await books.orders.postpone(uow.connection, postponed)
    return len(due)


def _spacing(asked: int, terms: Terms) -> timedelta:
    doubled = terms.delivery_within * (1 << min(asked, DOUBLINGS_MAX))
    return min(doubled, terms.delivery_spacing_max)
