"""VPN access was not bought: say why, and what would help."""

from __future__ import annotations

from dataclasses import replace

from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.access import AccessNotBought
from contracts.ids import PaymentId
from gateway.domain import checkout, keys
from gateway.domain.screens import vpn_news
from gateway.handlers import audience
from gateway.ports import Shop


async def access_not_bought(event: AccessNotBought, uow: UnitOfWork, *, shop: Shop) -> None:
    """Of a renewal that lacks credits vpn reminds, not at night and not at every attempt."""
    if event.renewal and event.code in {errors.INSUFFICIENT_CREDITS, errors.STALE_PERIOD}:
        return
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = vpn_news.not_bought(person.say, event)
    if event.renewal:
        await person.tell(uow, screen, shop=shop)
        return
    checkout_id = PaymentId(event.order_id)
    shown = await shop.checkouts.find(uow, checkout_id)
    if shown is not None and checkout.may_become(shown.state, checkout.FAILED):
        await shop.checkouts.save(uow, replace(shown, state=checkout.FAILED))
    await person.close(uow, screen, shop=shop, key=keys.payment(checkout_id))
