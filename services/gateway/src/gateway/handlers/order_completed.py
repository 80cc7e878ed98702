"""Deliver a completed order's result, and close its status message."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.billing import OrderCompleted
from contracts.money import NO_CREDITS
from gateway.domain import keys, order_screen
from gateway.domain.screens import outcome
from gateway.handlers import audience, results
from gateway.ports import EDIT, Shop


async def order_completed(event: OrderCompleted, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    shown = await shop.screens.find(uow, event.order_id)
    title = shop.title(person.say, event.workflow_id)
    if shown is not None and order_screen.may_become(shown.state, order_screen.COMPLETED):
        shown = replace(shown, state=order_screen.COMPLETED, outputs=event.outputs)
        await shop.screens.save(uow, shown)
        await shop.deliveries.queue(
            uow,
            user_id=event.user_id,
            screen=outcome.completed(person.say, event, title),
            kind=EDIT,
            key=keys.order(event.order_id),
            final=True,
        )
    note = outcome.result_note(
        person.say,
        event.charged_credits,
        gift=event.gift,
        available=event.available_credits,
        base=shown.base_price_credits if shown is not None else NO_CREDITS,
    )
    await results.queue(
        uow,
        person,
        event.outputs,
        order_id=event.order_id,
        title=title,
        note=note,
        shown=shown,
        shop=shop,
    )
