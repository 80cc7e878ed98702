"""Tells the operators' chat what needs a person."""

from __future__ import annotations

from collections.abc import Callable

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from gateway.domain.screen import Say, Screen
from gateway.ports import Shop


async def tell(uow: UnitOfWork, draw: Callable[[Say], Screen], *, shop: Shop) -> None:
    if shop.admin_chat_id:
        say = shop.texts.say(shop.texts.pick(None))
        await shop.deliveries.queue(uow, user_id=UserId(shop.admin_chat_id), screen=draw(say))
