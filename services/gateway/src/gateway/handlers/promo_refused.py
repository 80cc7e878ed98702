"""Say why a promo code brought nothing."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import PromoRefused
from gateway.domain import keys
from gateway.domain.screens import rewards
from gateway.handlers import audience
from gateway.ports import Shop


async def promo_refused(event: PromoRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = rewards.promo_refused(person.say, event)
    await person.close(uow, screen, shop=shop, key=keys.promo(event.code))
