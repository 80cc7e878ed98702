"""aiogram's bot, with the token as it is when a call is made."""

from __future__ import annotations

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer

from chassis.secrets import Secret


class CurrentBot(Bot):
    """Its session asks for `token` at each call; who the bot is never changes."""

    def __init__(self, token: Secret, server: TelegramAPIServer) -> None:
        super().__init__(token(), session=AiohttpSession(api=server))
        self._current = token

    @property
    def token(self) -> str:
        return self._current()
