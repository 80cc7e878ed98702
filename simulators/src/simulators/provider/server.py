"""One simulated provider on one loopback socket, started and stopped as a context manager."""

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, Self

from aiohttp import web

from simulators.provider.control import AnyCore, control_errors
from simulators.provider.gate import Gate

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1_000_000
FLUSH_SECONDS = 1.0
SHUTDOWN_SECONDS = 1.0


class ProviderSimulator(Generic[AnyCore]):
    api_path: ClassVar[str]

    def __init__(
        self, port: int, core: AnyCore, gate: Gate, routes: Iterable[web.RouteDef]
    ) -> None:
        self._port = port
        self._core = core
        self._gate = gate
        self._routes = routes
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""

    @property
    def port(self) -> int:
        return self._port

    @property
    def api_url(self) -> str:
        """What a client takes for the provider's own address."""
        return self.url + self.api_path

    async def start(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[control_errors])
        app.add_routes(self._routes)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._core.options.host, self._port, backlog=1_024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{HOST}:{self._port}"
        self._core.base_url = self._core.options.public_url or self.url
        self._tasks = [
            asyncio.create_task(self._flush_regularly()),
            asyncio.create_task(self._core.live()),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._gate.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._core.close()

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._core.store.flush()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()


AnySimulator = ProviderSimulator[Any]
