"""A plan was paid with credits: say until when it runs."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.ids import PaymentId
from contracts.payments import PlanBought
from gateway.domain import checkout, keys
from gateway.domain.screens import plans
from gateway.handlers import audience
from gateway.ports import Shop


async def plan_bought(event: PlanBought, uow: UnitOfWork, *, shop: Shop) -> None:
    checkout_id = PaymentId(event.order_id)
    shown = await shop.checkouts.find(uow, checkout_id)
    if shown is not None and checkout.may_become(shown.state, checkout.PAID):
        await shop.checkouts.save(uow, replace(shown, state=checkout.PAID))
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = plans.bought(person.say, event, person.zone)
    await person.close(uow, screen, shop=shop, key=keys.payment(checkout_id))
