"""Show that an order is queued. Its position follows (bot/positions.py)."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.billing import OrderAccepted
from gateway.domain import keys, order_screen
from gateway.domain.screens import order
from gateway.handlers import audience
from gateway.ports import EDIT, Shop


async def order_accepted(event: OrderAccepted, uow: UnitOfWork, *, shop: Shop) -> None:
    shown = await shop.screens.find(uow, event.order_id)
    if shown is None or not order_screen.may_become(shown.state, order_screen.ACCEPTED):
        return
    await shop.screens.save(uow, replace(shown, state=order_screen.ACCEPTED))
    if shown.cancel_asked:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    title = shop.title(person.say, event.workflow_id)
    await shop.deliveries.queue(
        uow,
        user_id=event.user_id,
        screen=order.queued(person.say, title, event.order_id, ahead=None, eta_seconds=0),
        kind=EDIT,
        key=keys.order(event.order_id),
    )
