"""An invoice is there: show where to pay, or send Telegram's own."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.payments import PaymentCreated
from gateway.domain import checkout, keys
from gateway.domain.screens import account, top_up
from gateway.handlers import audience
from gateway.ports import EDIT, SEND, Shop


async def payment_created(event: PaymentCreated, uow: UnitOfWork, *, shop: Shop) -> None:
    """A payment that was dropped meanwhile is not offered any more."""
    shown = await shop.checkouts.find(uow, event.payment_id)
    if shown is not None:
        if not checkout.may_become(shown.state, checkout.OPEN):
            return
        await shop.checkouts.save(uow, replace(shown, state=checkout.OPEN))
    person = await audience.find(uow, event.user_id, shop=shop)
    if event.subscription_days:
        tier = shown.tier if shown is not None else ""
        name = account.plan_name(person.say, tier, days=event.subscription_days)
        screen = top_up.stars_subscription(person.say, event, name)
    else:
        screen = top_up.payable(person.say, event, person.zone)
    await shop.deliveries.queue(
        uow,
        user_id=event.user_id,
        screen=screen,
        kind=EDIT,
        key=keys.payment(event.payment_id),
    )
    if event.invoice_payload and not event.subscription_days:
        await shop.deliveries.queue(
            uow,
            user_id=event.user_id,
            screen=top_up.stars_invoice(person.say, event),
            kind=SEND,
            key=keys.invoice(event.payment_id),
        )
