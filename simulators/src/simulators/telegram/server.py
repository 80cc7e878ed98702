"""One simulated Telegram on one loopback socket, started and stopped as a context manager."""

import asyncio
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from simulators.telegram.bot_api import BotApi
from simulators.telegram.control import Control
from simulators.telegram.core import Core, Options
from simulators.telegram.page import Page
from simulators.telegram.requests import control_errors
from simulators.telegram.workbench import Workbench

HOST = "127.0.0.1"
DEFAULT_TOKEN = "123456:TEST-token-of-the-simulated-bot"
BODY_BYTES_MAX = 2_100_000_000
FLUSH_SECONDS = 1.0
SHUTDOWN_SECONDS = 1.0


class TelegramSimulator:
    def __init__(
        self,
        *,
        port: int = 0,
        host: str = HOST,
        token: str = DEFAULT_TOKEN,
        state: Path | None = None,
        **options: Any,
    ) -> None:
        self._port = port
        self._host = host
        self._core = Core(
            Options(token=token, state=state, **options), answer=self._call_from_webhook
        )
        self._bot_api = BotApi(self._core)
        self._page = Page(self._core)
        self._runner: web.AppRunner | None = None
        self._flushing: asyncio.Task[None] | None = None
        self.url = ""
        self.token = token
        self.bot_id = self._core.bot_id

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[control_errors])
        app.add_routes(self._bot_api.routes())
        app.add_routes(Control(self._core).routes())
        app.add_routes(Workbench(self._core).routes())
        app.add_routes(self._page.routes())
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1_024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{HOST}:{self._port}"
        await self._core.start()
        self._flushing = asyncio.create_task(self._flush_regularly())

    async def stop(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        self._bot_api.close()
        self._page.close()
        self._core.updates.release()
        self._core.checkouts.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._core.close()

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._core.store.flush()

    async def _call_from_webhook(self, method: str, values: dict[str, Any]) -> None:
        await self._bot_api.call_from_webhook(method, values)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()
