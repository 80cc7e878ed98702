"""Hold expiry: where no answer came at all, billing voids alone."""

from __future__ import annotations

from collections.abc import Sequence

from billing.domain.access import is_access
from billing.domain.orders import is_overdue
from billing.domain.terms import Terms
from billing.handlers import announce, sold
from billing.handlers.case import close_case, open_case
from billing.ports import Books
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.ids import OrderId, UserId

log = logs.get("billing.orders")


Found = Sequence[tuple[OrderId, UserId]]
"""Overdue holds: (order id, user id)."""


async def expire_holds(uow: UnitOfWork, *, books: Books, terms: Terms) -> int:
    """Void what is overdue, at most `rows_max`; return how many were found."""
    found = await books.orders.overdue(uow.connection, uow.now, terms.rows_max)
    if found:
        await void_overdue(found, uow, books=books)
    return len(found)


async def void_overdue(found: Found, uow: UnitOfWork, *, books: Books) -> None:
    owners = sorted({user_id for _, user_id in found})
    await books.accounts.lock(uow.connection, owners)
    # Loaded under the lock: an answer may have come since the holds were found.
    case = await open_case(uow, books, [order_id for order_id, _ in found], owners)
    for order in case.orders.values():
        if is_overdue(order, uow.now) and case.refund(order, errors.HOLD_EXPIRED, expired=True):
            log.warning("hold_expired", order_id=str(order.order_id))
            if is_access(order):
                sold.voided(uow, order, order.traceparent)
            else:
                announce.refunded(
                    uow, order, cancelled=order.cancel_requested, traceparent=order.traceparent
                )
    await close_case(uow, books, case)
