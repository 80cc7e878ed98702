"""A plan was not bought: say why, and what would help."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.ids import PaymentId
from contracts.payments import PlanRefused
from gateway.domain import checkout, keys
from gateway.domain.screens import plans
from gateway.handlers import audience
from gateway.ports import Shop


async def plan_refused(event: PlanRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    checkout_id = PaymentId(event.order_id)
    shown = await shop.checkouts.find(uow, checkout_id)
    if shown is not None and checkout.may_become(shown.state, checkout.FAILED):
        await shop.checkouts.save(uow, replace(shown, state=checkout.FAILED))
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = plans.refused(person.say, event)
    await person.close(uow, screen, shop=shop, key=keys.payment(checkout_id))
