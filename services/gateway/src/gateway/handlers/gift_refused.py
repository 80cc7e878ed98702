"""Say why a gift was neither made nor opened."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import GiftRefused
from gateway.domain.screens import gifts
from gateway.handlers import audience
from gateway.ports import Shop


async def gift_refused(event: GiftRefused, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, gifts.refused(person.say, event), shop=shop)
