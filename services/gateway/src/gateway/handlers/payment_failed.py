"""A payment ended unpaid: say why, and that nothing was charged."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.payments import PaymentFailed
from gateway.domain import checkout, keys
from gateway.domain.screens import payment
from gateway.handlers import audience
from gateway.ports import Shop


async def payment_failed(event: PaymentFailed, uow: UnitOfWork, *, shop: Shop) -> None:
    """One that the person dropped has been answered already."""
    shown = await shop.checkouts.find(uow, event.payment_id)
    if shown is not None:
        if not checkout.may_become(shown.state, checkout.FAILED):
            return
        await shop.checkouts.save(uow, replace(shown, state=checkout.FAILED))
    elif event.code == errors.CANCELLED:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = payment.failed(person.say, event)
    await person.close(uow, screen, shop=shop, key=keys.payment(event.payment_id))
