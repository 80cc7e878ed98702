"""Whom an event is about, and in which words they are told."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from gateway.domain.screen import Say, Screen
from gateway.ports import EDIT, SEND, Shop


@dataclass(frozen=True, slots=True)
class Audience:
    """One person, as far as telling them something goes."""

    user_id: UserId
    say: Say
    zone: ZoneInfo
    reachable: bool
    """False: they blocked the bot, or never spoke to it; only results are still tried."""

    async def tell(self, uow: UnitOfWork, screen: Screen, *, shop: Shop, key: str = "") -> None:
        """Send a notice as a new message; nothing is lost with one who cannot be reached."""
        if self.reachable:
            await shop.deliveries.queue(
                uow, user_id=self.user_id, screen=screen, kind=SEND, key=key
            )

    async def close(self, uow: UnitOfWork, screen: Screen, *, shop: Shop, key: str) -> None:
        """Say the last word on the message that announced it; a new one, if that is gone."""
        if self.reachable:
            await shop.deliveries.queue(
                uow, user_id=self.user_id, screen=screen, kind=EDIT, key=key, final=True
            )


async def find(uow: UnitOfWork, user_id: UserId, *, shop: Shop) -> Audience:
    person = await shop.people.find(uow, user_id)
    if person is None:
        say = shop.texts.say(shop.texts.pick(None))
        return Audience(user_id, say, shop.shop_zone, reachable=False)
    say = shop.texts.say(person.language)
    return Audience(user_id, say, shop.zone(person), reachable=not person.blocked)
