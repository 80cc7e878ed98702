"""One simulated person in the chat, through the Telegram simulator's control API."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

POLL_SECONDS = 0.15
ANSWER_TIMEOUT_SECONDS = 60.0


class ChatError(Exception):
    """The bot did not answer as a person would expect."""


@dataclass(frozen=True, slots=True)
class Button:
    text: str
    data: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the bot as the person sees it now."""

    id: int
    text: str
    buttons: tuple[Button, ...]
    media_kind: str
    media_url: str

    def button(self, prefix: str, containing: str = "") -> Button | None:
        for button in self.buttons:
            if button.data.startswith(prefix) and containing in button.data:
                return button
        return None


class Chat:
    """Sends what the person does; answers are found by looking until they are there."""

    def __init__(self, session: aiohttp.ClientSession, control_url: str, user_id: int) -> None:
        self._session = session
        self._control_url = control_url
        self._user_id = user_id

    async def say(self, text: str) -> None:
        await self._post("messages", json={"text": text})

    async def send_photo(self, jpeg: bytes) -> None:
        form = aiohttp.FormData()
        form.add_field("file", jpeg, filename="product.jpg", content_type="image/jpeg")
        await self._post("photos", data=form)

    async def press(self, message: Message, button: Button) -> None:
        await self._post("callbacks", json={"message_id": message.id, "data": button.data})

    async def messages(self, after: int = 0) -> list[Message]:
        url = f"{self._control_url}/chats/{self._user_id}/messages"
        async with self._session.get(url, params={"after": str(after)}) as answer:
            await _check(answer)
            content = await answer.json()
        return [_message(entry) for entry in content["messages"] if entry["from"] == "bot"]

    async def wait_for(
        self,
        wanted: Callable[[Message], bool],
        what: str,
        *,
        after: int = 0,
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
        watch: Callable[[list[Message]], None] | None = None,
    ) -> Message:
        """The newest message of the bot that is as wanted; `watch` sees everything meanwhile."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = await self.messages(after)
            if watch is not None:
                watch(found)
            for message in reversed(found):
                if wanted(message):
                    return message
            if time.monotonic() > deadline:
                said = found[-1].text if found else "nothing"
                raise ChatError(f"no {what} within {timeout_seconds:g} s; the bot said: {said}")
            await asyncio.sleep(POLL_SECONDS)

    async def _post(self, action: str, **body: Any) -> None:
        url = f"{self._control_url}/users/{self._user_id}/{action}"
        async with self._session.post(url, **body) as answer:
            await _check(answer)


async def _check(answer: aiohttp.ClientResponse) -> None:
    if not answer.ok:
        raise ChatError(f"{answer.url.path} answered {answer.status}: {await answer.text()}")


def _message(entry: dict[str, Any]) -> Message:
    media = entry.get("media") or {}
    return Message(
        id=entry["message_id"],
        text=plain(entry.get("text") or entry.get("caption") or ""),
        buttons=tuple(
            Button(button["text"], button.get("callback_data", ""))
            for row in entry.get("buttons") or []
            for button in row
        ),
        media_kind=media.get("kind", ""),
        media_url=media.get("url", ""),
    )


def plain(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text)
