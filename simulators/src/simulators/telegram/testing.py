"""A client of the control API for tests: act as people, wait for what the bot does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import aiohttp

Json = dict[str, Any]

WAIT_SECONDS = 30.0


class ControlClient:
    """Speaks to a running simulator, in this process or another one."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, verb: str, path: str, **options: Any) -> Json:
        """The JSON answer of /control<path>; raises AssertionError when it is not ok."""
        assert self._session is not None, "use it as a context manager"
        url = f"{self.url}/control{path}"
        async with self._session.request(verb, url, **options) as response:
            body: Json = await response.json()
        assert body["ok"], f"{verb} {path}: {body}"
        return body

    # --- as a person ------------------------------------------------------------------------

    async def user(self, user_id: int, **fields: Any) -> Json:
        return await self.call("PUT", f"/users/{user_id}", json=fields)

    async def say(self, user_id: int, text: str, **more: Any) -> Json:
        return await self.call("POST", f"/users/{user_id}/messages", json={"text": text, **more})

    async def send_file(
        self,
        user_id: int,
        data: bytes,
        *,
        name: str = "photo.jpg",
        mime: str = "image/jpeg",
        caption: str = "",
        as_document: bool = False,
    ) -> Json:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("file", data, filename=name, content_type=mime)
        form.add_field("caption", caption)
        form.add_field("as_document", "true" if as_document else "false")
        return await self.call("POST", f"/users/{user_id}/photos", data=form)

    async def press(self, user_id: int, message_id: int, data: str) -> Json:
        body = {"message_id": message_id, "data": data}
        return await self.call("POST", f"/users/{user_id}/callbacks", json=body)

    async def pay(self, user_id: int, **invoice: Any) -> Json:
        return await self.call("POST", f"/users/{user_id}/pay", json=invoice)

    async def charge_back(self, user_id: int, charge_id: str, *, silent: bool = False) -> Json:
        path = f"/users/{user_id}/charges/{charge_id}/charge-back"
        return await self.call("POST", path, json={"silent": silent})

    # --- looking on -------------------------------------------------------------------------

    async def messages(self, chat_id: int, *, after: int = 0, **query: Any) -> list[Json]:
        asked = {"after": after, **query}
        body = await self.call("GET", f"/chats/{chat_id}/messages", params=asked)
        messages: list[Json] = body["messages"]
        return messages

    async def wait_message(
        self,
        chat_id: int,
        matches: Callable[[Json], bool] = lambda _message: True,
        *,
        after: int = 0,
        timeout: float = WAIT_SECONDS,
    ) -> Json:
        """The first message of the bot that matches, also if an edit made it match."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        seq = 0
        seen: list[Json] = []
        while True:
            left = max(deadline - loop.time(), 0)
            asked = {"after": after, "changed_after": seq, "wait": left}
            body = await self.call("GET", f"/chats/{chat_id}/messages", params=asked)
            for message in body["messages"]:
                if message["from"] == "bot" and not message["deleted"] and matches(message):
                    return dict(message)
            seen += body["messages"]
            seq = body["seq"]
            if loop.time() >= deadline:
                texts = [message["text"] or message["caption"] for message in seen]
                raise AssertionError(f"no such message of the bot in {timeout} s; seen: {texts}")

    async def calls(self, method: str = "", *, after: int = 0) -> list[Json]:
        query: Json = {"after": after, "method": method}
        calls: list[Json] = (await self.call("GET", "/calls", params=query))["calls"]
        return calls

    # --- making trouble ---------------------------------------------------------------------

    async def fault(self, kind: str, **options: Any) -> Json:
        return await self.call("POST", "/faults", json={"kind": kind, **options})

    async def clear_faults(self) -> None:
        await self.call("DELETE", "/faults")

    async def reset(self) -> None:
        await self.call("POST", "/reset")


async def eventually(
    probe: Callable[[], Awaitable[Any]],
    wanted: Callable[[Any], Any],
    *,
    timeout: float = WAIT_SECONDS,
) -> Any:
    """Ask again and again until the answer is as wanted; returns that answer."""
    async with asyncio.timeout(timeout):
        while True:
            value = await probe()
            if wanted(value):
                return value
            await asyncio.sleep(0.005)


def button(message: Json, text: str) -> str:
    """The callback data behind the button whose text contains `text`."""
    for row in message["buttons"]:
        for each in row:
            if text in each["text"]:
                return str(each["callback_data"])
    shown = [each["text"] for row in message["buttons"] for each in row]
    raise AssertionError(f"no button {text!r} among {shown}")
