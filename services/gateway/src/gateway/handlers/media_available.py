"""A photo is here: place the orders that were confirmed before it came."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from gateway.domain import keys, order_screen
from gateway.handlers import audience, placing
from gateway.ports import EDIT, Media, Shop


async def media_available(media: Media, uow: UnitOfWork, *, shop: Shop) -> None:
    """Called in the transaction that marks the row `available`."""
    for shown in await shop.screens.waiting_for(uow, media.id):
        person = await audience.find(uow, shown.user_id, shop=shop)
        placed = await placing.confirm(shown, uow, shop=shop, say=person.say)
        if placed.state == shown.state:
            continue
        await shop.deliveries.queue(
            uow,
            user_id=shown.user_id,
            screen=placed.screen,
            kind=EDIT,
            key=keys.order(shown.order_id),
            final=placed.state == order_screen.DROPPED,
        )
