"""Say why a gift was neither made nor opened."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.rewards import GiftRefused
from gateway.domain import keys
from gateway.domain.screens import gifts
from gateway.handlers import audience
from gateway.ports import Shop

OF_OPENING = frozenset({errors.GIFT_UNKNOWN, errors.GIFT_OVER, errors.GIFT_OWN})
"""The message under a gift's name shows its link, and goes on doing so; the others end it."""


async def gift_refused(event: GiftRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = gifts.refused(person.say, event)
    if event.gift_id is None or event.reason in OF_OPENING:
        await person.tell(uow, screen, shop=shop)
    else:
        await person.close(uow, screen, shop=shop, key=keys.gift(event.gift_id))
