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
    edits: int = 0

    def button(self, prefix: str, containing: str = "") -> Button | None:
        for button in self.buttons:
            if button.data.startswith(prefix) and containing in button.data:
                return button
        return None


@dataclass(frozen=True, slots=True)
class Toast:
    """What a tap was answered with; an `alert` has to be closed by hand."""

    text: str
    alert: bool


class Chat:
    """Sends what the person does; answers are found by looking until they are there."""

    def __init__(self, session: aiohttp.ClientSession, control_url: str, user_id: int) -> None:
        self.poll_seconds = POLL_SECONDS
        self._session = session
        self._control_url = control_url
        self.user_id = user_id

    async def say(self, text: str) -> None:
        await self._post("messages", json={"text": text})

    async def send_photo(self, jpeg: bytes) -> None:
        await self.send_file(jpeg, "product.jpg", "image/jpeg")

    async def send_file(
        self, data: bytes, name: str, mime: str, *, as_document: bool = False
    ) -> None:
        form = aiohttp.FormData()
        form.add_field("file", data, filename=name, content_type=mime)
        form.add_field("as_document", "true" if as_document else "false")
        await self._post("photos", data=form)

    async def press(self, message: Message, button: Button) -> str:
        """Tap a button; returns the tap's id."""
        made = await self._post("callbacks", json={"message_id": message.id, "data": button.data})
        return str(made["callback_query_id"])

    async def tap(self, message: Message, button: Button) -> Toast:
        """Tap a button and wait for what the bot answers to the tap itself."""
        query_id = await self.press(message, button)
        url = f"{self._control_url}/chats/{self.user_id}/messages/{message.id}"
        deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            async with self._session.get(url) as answer:
                await _check(answer)
                taps = (await answer.json())["message"]["callbacks"]
            for tap in taps:
                if tap["id"] == query_id and tap["answer"] is not None:
                    return Toast(tap["answer"]["text"], tap["answer"]["show_alert"])
            await asyncio.sleep(self.poll_seconds)
        raise ChatError(f"the tap on {button.text!r} was never answered")

    async def download(self, message: Message) -> bytes:
        """The picture, video or file of a message, as the person's phone stores it."""
        async with self._session.get(message.media_url) as answer:
            await _check(answer)
            return await answer.read()

    async def messages(self, after: int = 0) -> list[Message]:
        url = f"{self._control_url}/chats/{self.user_id}/messages"
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
            await asyncio.sleep(self.poll_seconds)

    async def _post(self, action: str, **body: Any) -> dict[str, Any]:
        url = f"{self._control_url}/users/{self.user_id}/{action}"
        async with self._session.post(url, **body) as answer:
            await _check(answer)
            made: dict[str, Any] = await answer.json()
        return made


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
        edits=entry.get("edit_count", 0),
    )


def plain(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text)
