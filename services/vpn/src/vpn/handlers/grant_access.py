"""grant_access: what an order bought is added to what the person has; once per order.

Hot: a whole batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import vpn
from contracts.access import KIND_TRIAL, AccessPlan
from contracts.errors import RefusalError
from contracts.ids import OrderId, uuid7_time
from contracts.vpn import AccessGranted, AccessRefused, GrantAccess
from vpn.domain import access, plans, purchases
from vpn.domain.access import Purchase
from vpn.domain.errors import CancelledError, NoNodesError, UnknownPlanError
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.handlers.orders import Orders
from vpn.ports import Books, Grant

log = logs.get("vpn.access")


async def grant_access(
    received: Sequence[Received[GrantAccess]],
    uow: UnitOfWork,
    *,
    books: Books,
    catalogue: Mapping[str, AccessPlan],
    terms: Terms,
) -> None:
    commands = [each.message for each in received]
    desk = await Desk.open(uow, books, terms, {each.user_id for each in commands})
    await desk.meet({each.user_id for each in commands})
    lasts = [OrderId(one.last_order) for one in desk.found.values() if one.last_order]
    orders = await Orders.open(uow, books, [*(each.order_id for each in commands), *lasts])
    regions = await books.nodes.active_regions(uow.connection)
    for each in received:
        try:
            grant = orders.get(each.message.order_id)
            if grant is None:
                grant = await _give(each, desk, orders, catalogue, regions)
            _answer(each, grant, uow)
        except RefusalError as error:
            _refuse(each, error, uow)
    await orders.close()
    await desk.close()


async def _give(
    each: Received[GrantAccess],
    desk: Desk,
    orders: Orders,
    catalogue: Mapping[str, AccessPlan],
    regions: set[str],
) -> Grant:
    command = each.message
    plan = catalogue.get(command.plan)
    if plan is None:
        raise UnknownPlanError
    one = desk.found[command.user_id]
    set_id = one.set_id if command.traffic_bytes else plans.set_of(plan.regions)
    served = any(plans.serves(set_id, region) for region in regions)
    # Nodes that are drained or away refuse newcomers; whoever has access keeps it as it was.
    if not served and command.renews is None and not access.has(one, set_id, desk.now):
        raise NoNodesError
    bought = Purchase(
        order_id=command.order_id,
        days=command.days,
        until=command.until,
        traffic_bytes=command.traffic_bytes,
        trial=command.trial or plan.kind == KIND_TRIAL,
        renews=command.renews,
        chosen_at=_chosen_at(each, desk.now),
    )
    late = purchases.is_late(bought, orders.last_of(one), one, desk.now)
    fresh = desk.books.make_credentials()
    given = access.give(one, bought, plan, desk.terms, desk.now, fresh, late=late)
    if late:
        later = await orders.chosen_after(one, bought.chosen_at)
        given, changed = purchases.put_in(given, later)
        for other in changed:
            orders.change(other)
        log.info("purchase_came_late", order_id=str(command.order_id), plan=plan.id)
    grant = Grant(command.order_id, command.user_id, one.id, given)
    orders.add(grant)
    desk.changed(one, _cause(command), trace=each.traceparent)
    return grant


def _chosen_at(each: Received[GrantAccess], now: datetime) -> datetime:
    """Old senders do not say; a clock ahead of ours counts as now (ADR 0018)."""
    return min(each.message.chosen_at or uuid7_time(each.headers.id), now)


def _cause(command: GrantAccess) -> str:
    if command.traffic_bytes:
        return vpn.CAUSE_TRAFFIC_ADDED
    return vpn.CAUSE_RENEWED if command.renews is not None else vpn.CAUSE_GRANTED


def _answer(each: Received[GrantAccess], grant: Grant, uow: UnitOfWork) -> None:
    """The same order again is answered as the first time: it has what it has."""
    if grant.given is None or grant.subscription_id is None or grant.revoked:
        raise CancelledError
    event = AccessGranted(
        order_id=grant.order_id,
        user_id=grant.user_id,
        subscription_id=grant.subscription_id,
        plan=grant.given.plan,
        until=grant.given.until,
    )
    uow.emit(event, order_id=OrderId(grant.order_id), traceparent=each.traceparent)


def _refuse(each: Received[GrantAccess], error: RefusalError, uow: UnitOfWork) -> None:
    command = each.message
    log.info("access_refused", order_id=str(command.order_id), code=error.code)
    event = AccessRefused(order_id=command.order_id, user_id=command.user_id, code=error.code)
    uow.emit(event, order_id=command.order_id, traceparent=each.traceparent)
