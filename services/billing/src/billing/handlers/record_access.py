"""access_granted posts the hold, access_refused voids it; a grant come too late is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from billing.domain import access
from billing.domain.orders import COMPLETED
from billing.handlers import announce, sold
from billing.handlers.case import close_case, open_case
from billing.ports import Books
from billing.ports.access import AccessGrant
from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.access import AccessPlan
from contracts.vpn import AccessGranted, AccessRefused, RevokeAccess

log = logs.get("billing.access")


async def record_access_granted(
    received: Sequence[Received[AccessGranted]],
    uow: UnitOfWork,
    *,
    books: Books,
    plans: Mapping[str, AccessPlan],
) -> None:
    order_ids = [each.message.order_id for each in received]
    case = await open_case(uow, books, order_ids, {each.message.user_id for each in received})
    given: list[AccessGrant] = []
    for each in received:
        event = each.message
        order = case.orders.get(event.order_id)
        if order is not None and access.is_access(order) and case.post(order):
            given.append(_as_told(event, revoked=False))
            available = case.accounts[order.user_id].available
            kind = access.kind_of(order, plans)
            sold.bought(uow, order, event, kind, available, each.traceparent)
        elif order is None or order.state != COMPLETED:
            # Given for nothing: the hold had expired, or there never was one.
            log.error("access_given_unpaid", order_id=str(event.order_id))
            given.append(_as_told(event, revoked=True))
            back = RevokeAccess(order_id=event.order_id, user_id=event.user_id)
            uow.emit(back, order_id=event.order_id, traceparent=each.traceparent)
    await books.access.add(uow.connection, given, uow.now)
    await close_case(uow, books, case)


def _as_told(event: AccessGranted, *, revoked: bool) -> AccessGrant:
    return AccessGrant(
        event.order_id, event.user_id, event.subscription_id, event.until, revoked=revoked
    )


async def record_access_refused(
    received: Sequence[Received[AccessRefused]], uow: UnitOfWork, *, books: Books
) -> None:
    order_ids = [each.message.order_id for each in received]
    case = await open_case(uow, books, order_ids, {each.message.user_id for each in received})
    for each in received:
        event = each.message
        order = case.orders.get(event.order_id)
        if order is None:
            log.error("end_of_unknown_order", order_id=str(event.order_id))
        elif case.refund(order, event.code):
            if access.is_access(order):
                sold.voided(uow, order, each.traceparent)
            else:
                announce.refunded(uow, order, cancelled=False, traceparent=each.traceparent)
    await close_case(uow, books, case)
