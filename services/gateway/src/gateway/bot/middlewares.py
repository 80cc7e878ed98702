"""What every router finds ready: the person's language, and an account that is being opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import Message, TelegramObject, Update

from contracts.billing import OpenAccount
from gateway.ports import Shop, Turn

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]
DEEP_LINK_MAX = 64


class PersonMiddleware(BaseMiddleware):
    """Adds `say` and `zone`; the first update of a person opens the account, whatever it is."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        turn: Turn = data["turn"]
        person = turn.person
        data["say"] = self._shop.texts.say(person.language)
        data["zone"] = self._shop.zone(person)
        if person.is_new:
            link = deep_link(event.message) if isinstance(event, Update) else ""
            turn.uow.emit(OpenAccount(user_id=person.user_id, deep_link=link))
        return await handler(event, data)


def deep_link(message: Message | None) -> str:
    """The payload of `/start <payload>` (`ref_…`, `promo_…`), if it is shaped like one."""
    command, _, payload = ((message.text if message else "") or "").partition(" ")
    payload = payload.strip()
    known = command.partition("@")[0] == "/start" and len(payload) <= DEEP_LINK_MAX
    shaped = payload.isascii() and payload.replace("-", "_").replace("_", "a").isalnum()
    return payload if known and shaped else ""
