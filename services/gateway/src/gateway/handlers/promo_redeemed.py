"""Say what a promo code brought."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import PromoRedeemed
from gateway.domain import keys
from gateway.domain.screens import rewards
from gateway.handlers import audience
from gateway.ports import Shop


async def promo_redeemed(event: PromoRedeemed, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = rewards.promo_redeemed(person.say, event)
    await person.close(uow, screen, shop=shop, key=keys.promo(event.code))
