"""A photo cannot be used: say why, and drop the orders that were waiting for it."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from gateway.domain import keys
from gateway.domain.screens import upload
from gateway.handlers import audience
from gateway.handlers.media_available import media_available
from gateway.ports import EDIT, Media, Shop


async def media_failed(media: Media, uow: UnitOfWork, *, shop: Shop) -> None:
    """Called in the transaction that marks the row `failed`."""
    person = await audience.find(uow, media.user_id, shop=shop)
    await shop.deliveries.queue(
        uow,
        user_id=media.user_id,
        screen=upload.failed(person.say, media.error),
        kind=EDIT,
        key=keys.upload(media.id),
        final=True,
    )
    await media_available(media, uow, shop=shop)
