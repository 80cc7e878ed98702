"""A subscription changed without its owner: expired, extended, taken back."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import AccessChanged
from gateway.domain.screens import vpn_news
from gateway.handlers import audience
from gateway.ports import Shop


async def access_changed(event: AccessChanged, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    screen = vpn_news.changed(person.say, event, person.zone)
    if screen is not None:
        await person.tell(uow, screen, shop=shop)
