"""Something about their VPN a person should hear now; vpn has judged that they are awake."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import AccessReminded
from gateway.domain.screens import vpn_news
from gateway.handlers import audience
from gateway.ports import Shop


async def access_reminded(event: AccessReminded, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, vpn_news.reminded(person.say, event, person.zone), shop=shop)
