"""Tell both: the one who opened the gift, and the one who gave it."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import GiftOpened
from gateway.domain.screens import gifts
from gateway.handlers import audience
from gateway.ports import Shop


async def gift_opened(event: GiftOpened, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, gifts.received(person.say, event), shop=shop)
    giver = await audience.find(uow, event.giver_id, shop=shop)
    await giver.tell(uow, gifts.taken(giver.say, event), shop=shop)
