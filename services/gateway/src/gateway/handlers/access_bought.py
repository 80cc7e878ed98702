"""VPN access was paid and given: say until when it runs."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts.access import AccessBought
from contracts.ids import PaymentId
from gateway.domain import checkout, keys
from gateway.domain.screens import vpn_news
from gateway.handlers import audience
from gateway.ports import Shop


async def access_bought(event: AccessBought, uow: UnitOfWork, *, shop: Shop) -> None:
    """A renewal has no screen to close: it is news."""
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = vpn_news.bought(person.say, event, person.zone)
    if event.renewal:
        await person.tell(uow, screen, shop=shop)
        return
    checkout_id = PaymentId(event.order_id)
    shown = await shop.checkouts.find(uow, checkout_id)
    if shown is not None and checkout.may_become(shown.state, checkout.PAID):
        await shop.checkouts.save(uow, replace(shown, state=checkout.PAID))
    await person.close(uow, screen, shop=shop, key=keys.payment(checkout_id))
