"""Tell a giver that a gift came back: nobody opened it, or its payment is being given back."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.rewards import GiftReturned
from gateway.domain.screens import gifts
from gateway.handlers import audience
from gateway.ports import Shop


async def gift_returned(event: GiftReturned, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, gifts.returned(person.say, event), shop=shop)
