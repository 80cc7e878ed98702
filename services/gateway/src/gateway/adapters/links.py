"""Knows the bot's public name, which only Telegram can tell, and makes links of it."""

from __future__ import annotations

from gateway.adapters.telegram import Telegram


class StartLinks:
    """Implements ports.Links. The name is asked for once; it changes with the token only."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram
        self._name = ""

    async def learn(self) -> None:
        """Ask Telegram who we are. Raises what the call raises: the supervisor tries again."""
        self._name = (await self._telegram.call("getMe"))["username"]

    def start(self, payload: str) -> str | None:
        return f"https://t.me/{self._name}?start={payload}" if self._name else None
