"""Show that an order left the queue and is being made."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.generator import JobStarted
from gateway.domain import keys, order_screen
from gateway.domain.screens import order
from gateway.handlers import audience
from gateway.ports import EDIT, Shop


async def job_started(event: JobStarted, uow: UnitOfWork, *, shop: Shop) -> None:
    shown = await shop.screens.find(uow, event.order_id)
    if shown is None or not order_screen.may_become(shown.state, order_screen.RUNNING):
        return
    await shop.screens.save(uow, replace(shown, state=order_screen.RUNNING))
    if shown.cancel_asked:
        return
    person = await audience.find(uow, shown.user_id, shop=shop)
    title = shop.title(person.say, shown.workflow_id)
    await shop.deliveries.queue(
        uow,
        user_id=shown.user_id,
        screen=order.running(person.say, title, shown.order_id, fraction=0, eta_seconds=0),
        kind=EDIT,
        key=keys.order(shown.order_id),
    )
