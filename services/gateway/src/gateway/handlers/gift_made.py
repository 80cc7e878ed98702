"""Show a gift's link, on the message that confirmed the gift."""

from __future__ import annotations

from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from contracts.rewards import GiftMade
from gateway.domain import keys
from gateway.domain.deep_links import GIFT
from gateway.domain.screens import gifts
from gateway.handlers import audience
from gateway.ports import Shop


class NamelessError(TransientError):
    """Telegram has not told yet what the bot is called, so its links cannot be written."""


async def gift_made(event: GiftMade, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    link = shop.links.start(f"{GIFT}{event.code}")
    if link is None:
        raise NamelessError
    screen = gifts.made(person.say, event, link, person.zone)
    await person.close(uow, screen, shop=shop, key=keys.gift(event.gift_id))
