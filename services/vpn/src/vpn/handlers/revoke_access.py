"""revoke_access: take back what an order gave, once; come first, it keeps it from giving."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chassis import logs
from chassis.outbox import UnitOfWork
from contracts import vpn
from contracts.access import AccessPlan
from contracts.vpn import STATE_ACTIVE, AccessRevoked, RevokeAccess
from vpn.domain import access, purchases
from vpn.domain.access import Subscription
from vpn.domain.terms import Terms
from vpn.handlers.desk import Desk
from vpn.handlers.orders import Orders
from vpn.handlers.set_access_options import auto_renew_word
from vpn.ports import Books, Grant

log = logs.get("vpn.access")


async def revoke_access(
    command: RevokeAccess,
    uow: UnitOfWork,
    *,
    books: Books,
    catalogue: Mapping[str, AccessPlan],
    terms: Terms,
) -> None:
    orders = await Orders.open(uow, books, [command.order_id])
    grant = orders.get(command.order_id)
    desk = await Desk.open(uow, books, terms, [command.user_id])
    one = desk.found.get(command.user_id)
    if grant is None:
        orders.add(Grant(command.order_id, command.user_id, None, None, revoked=True))
    elif not grant.revoked and grant.given is not None and one is not None:
        before = catalogue.get(grant.given.plan_before)
        later = await orders.after(one, command.order_id) if grant.given.span else []
        for other in purchases.take_out(grant.given, later) if later else []:
            orders.change(other)
        access.take_back(one, grant.given, before, terms, desk.now, refunded=command.refunded)
        if not one.auto_renew:
            # Whatever was chosen before this is over: or it would be charged for again.
            await uow.is_last_word(auto_renew_word(command.user_id))
        desk.changed(one, vpn.CAUSE_REVOKED)
        await books.grants.revoke(uow.connection, command.order_id, uow.now)
        await desk.close()
        log.info("access_revoked", order_id=str(command.order_id))
    await orders.close()
    event = AccessRevoked(
        order_id=command.order_id, user_id=command.user_id, until=_what_is_left(one)
    )
    uow.emit(event, order_id=command.order_id)


def _what_is_left(one: Subscription | None) -> datetime | None:
    return one.until if one is not None and one.state == STATE_ACTIVE else None
