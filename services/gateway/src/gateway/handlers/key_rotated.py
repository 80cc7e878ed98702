"""A VPN key was replaced: say what the person's devices need now."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import KeyRotated
from gateway.domain.screens import vpn_news
from gateway.handlers import audience
from gateway.ports import Shop


async def key_rotated(event: KeyRotated, uow: UnitOfWork, *, shop: Shop) -> None:
    person = await audience.find(uow, event.user_id, shop=shop)
    await person.tell(uow, vpn_news.key_replaced(person.say, event), shop=shop)
