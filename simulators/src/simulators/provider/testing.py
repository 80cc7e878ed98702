"""For tests: a client of the control API every provider has, and an endpoint for webhooks."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

import aiohttp
from aiohttp import web

from simulators.telegram.testing import WAIT_SECONDS, eventually

Json = dict[str, Any]
AnyReceived = TypeVar("AnyReceived")

START_SECONDS = 20.0
STOP_SECONDS = 5.0


@asynccontextmanager
async def program(
    module: str,
    environment: Mapping[str, str],
    *arguments: str,
    stop_with: signal.Signals = signal.SIGTERM,
) -> AsyncIterator[str]:
    """The address of a provider that runs as a program; it must end well when told to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            word, url = (await process.stdout.readline()).decode().split()
        assert word == "listening"
        yield url
        process.send_signal(stop_with)
        async with asyncio.timeout(STOP_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class ProviderControlClient:
    """Speaks to a running simulator, in this process or another one."""

    subject_name = "object_id"

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use it as a context manager"
        return self._session

    async def call(self, verb: str, path: str, **options: Any) -> Json:
        """The JSON answer of /control<path>; raises AssertionError when it is not ok."""
        url = f"{self.url}/control{path}"
        async with self.session.request(verb, url, **options) as response:
            body: Json = await response.json()
        assert body["ok"], f"{verb} {path}: {body}"
        return body

    # --- looking on -------------------------------------------------------------------------

    async def webhooks(self, subject: int | str | None = None) -> list[Json]:
        query = {} if subject is None else {self.subject_name: str(subject)}
        return list((await self.call("GET", "/webhooks", params=query))["webhooks"])

    async def wait_webhook(
        self, subject: int | str, state: str = "delivered", *, timeout: float = WAIT_SECONDS
    ) -> Json:
        """The first webhook about the subject, as soon as it is in this state."""
        found = await eventually(
            lambda: self.webhooks(subject),
            lambda sent: sent and sent[0]["state"] == state,
            timeout=timeout,
        )
        return dict(found[0])

    async def calls(self, method: str = "", *, after: int = 0) -> list[Json]:
        query: Json = {"after": after, "method": method}
        return list((await self.call("GET", "/calls", params=query))["calls"])

    # --- as the owner of the shop, and as the world -----------------------------------------

    async def webhook(self, **wish: Any) -> Json:
        """`url`, `enabled`; without them only looks."""
        body = await self.call("POST", "/webhook", json=wish)
        return dict(body["webhook"])

    async def resend(self, webhook_id: int, *, verbatim: bool = False) -> Json:
        body = {"verbatim": verbatim}
        return dict(
            (await self.call("POST", f"/webhooks/{webhook_id}/resend", json=body))["attempt"]
        )

    async def forge(self, subject: int | str, **changes: Any) -> Json:
        """`changes`: what the claim says otherwise than the truth."""
        body = {self.subject_name: subject, "changes": changes}
        return dict((await self.call("POST", "/webhooks/forge", json=body))["attempt"])

    async def advance(self, seconds: float) -> None:
        await self.call("POST", "/clock", json={"advance_seconds": seconds})

    # --- making trouble ---------------------------------------------------------------------

    async def fault(self, kind: str, **options: Any) -> Json:
        return await self.call("POST", "/faults", json={"kind": kind, **options})

    async def clear_faults(self) -> None:
        await self.call("DELETE", "/faults")

    async def reset(self) -> None:
        await self.call("POST", "/reset")


class Receiver(Generic[AnyReceived]):
    """A shop's webhook endpoint: keeps what came and answers what a test decides."""

    def __init__(
        self,
        path: str,
        read: Callable[[bytes, web.Request], AnyReceived],
        answer: Callable[[AnyReceived], int],
    ) -> None:
        self.url = ""
        self.received: list[AnyReceived] = []
        self.answer = answer
        self._path = path
        self._read = read
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def until(self, count: int, *, timeout: float = WAIT_SECONDS) -> list[AnyReceived]:
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _handle(self, request: web.Request) -> web.Response:
        got = self._read(await request.read(), request)
        self.received.append(got)
        async with self._arrived:
            self._arrived.notify_all()
        return web.Response(status=self.answer(got))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(self._path, self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{self._path}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
