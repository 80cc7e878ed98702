"""grant_access: what an order bought is added to what the person has; once per order.

Hot: a whole batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chassis import logs
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import vpn
from contracts.access import KIND_TRIAL, AccessPlan
from contracts.errors import RefusalError
from contracts.ids import OrderId
from contracts.vpn import AccessGranted, AccessRefused, GrantAccess
from vpn.domain import access, plans
from vpn.domain.access import Purchase
from vpn.domain.errors import CancelledError, NoNodesError, UnknownPlanError
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
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
    known = await books.grants.find(uow.connection, [each.order_id for each in commands])
    regions = await books.nodes.active_regions(uow.connection)
    new: list[Grant] = []
    for each in received:
        try:
            grant = known.get(each.message.order_id)
            if grant is None:
                grant = _give(each, desk, catalogue, regions)
                known[grant.order_id] = grant
                new.append(grant)
            _answer(each, grant, uow)
        except RefusalError as error:
            _refuse(each, error, uow)
    await books.grants.add(uow.connection, new, uow.now)
    await desk.close()


def _give(
    each: Received[GrantAccess],
    desk: Desk,
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
    )
    fresh = desk.books.make_credentials()
    given = access.give(one, bought, plan, desk.terms, desk.now, fresh)
    desk.changed(one, _cause(command), trace=each.traceparent)
    return Grant(command.order_id, command.user_id, one.id, given)


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
