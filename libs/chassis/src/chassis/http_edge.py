"""An HTTP server for strangers: every request has a size, a rate and a time it may not exceed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from chassis import logs, metrics
from chassis.callers import Caller, Proxies
from chassis.rates import Buckets, Rate

log = logs.get("chassis.http_edge")
READ_SECONDS_MAX = 5.0
"""Whole headers must have come by then, and then a whole body; what is slower is cut."""
HANDLING_SECONDS_MAX = 20.0
KEPT_ALIVE_SECONDS = 75.0
"""Longer than proxies keep theirs (60 s): none posts into a connection that is being closed."""
LINGERING_SECONDS = 1.0
"""For the rest of a body that nobody will read, so that the answer is."""
BUSY_SECONDS = 2
REQUESTS_MAX = 256
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
"""What a stranger gets who does not know a path or a secret."""
Handle = Callable[[web.Request, Caller], Awaitable[web.Response]]
refused_count = metrics.counter(
    "vitrine.http_edge.refused", description="requests turned away before their handler, by why"
)


class EdgeLimits(NamedTuple):
    body_bytes_max: int
    line_bytes_max: int = 8_190
    header_bytes_max: int = 8_190
    handling_seconds_max: float = HANDLING_SECONDS_MAX
    kept_alive_seconds: float = KEPT_ALIVE_SECONDS
    requests_max: int = REQUESTS_MAX
    """Under way at once; one more is told to come again."""
    silent_max: int = 1_024
    """Connections without whole headers yet; for one more the oldest of them is cut."""
    address: Rate | None = Rate(per_second=100.0, burst=1_000)
    """What one address may ask, whatever it knows; None: the handler counts for itself."""
    strangers: Rate | None = Rate(per_second=1.0, burst=60)
    """How often one address is told 401, 403 or 404; then 429 and a closed connection. Who knows
    the secret is not held up by neighbours who guess."""
    keys_max: int = 50_000
    """Addresses remembered; the least recently seen is forgotten."""


class HttpEdge:
    """Hands whole requests to `handle`; it runs on asyncio's loop and on uvloop's."""

    def __init__(
        self,
        handle: Handle,
        *,
        name: str,
        host: str,
        port: int,
        limits: EdgeLimits,
        proxies: Proxies | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` are said with every answer."""
        self._handle = handle
        self._name = name
        self._host = host
        self._wanted_port = port
        self._limits = limits
        self._proxies = proxies or Proxies()
        self._headers = headers or {}
        kept = limits.keys_max
        self._addresses = Buckets(limits.address, keys_max=kept) if limits.address else None
        self._strangers = Buckets(limits.strangers, keys_max=kept) if limits.strangers else None
        self._running = 0
        application = web.Application(client_max_size=limits.body_bytes_max)
        application.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=limits.kept_alive_seconds,
            lingering_time=LINGERING_SECONDS,
            max_line_size=limits.line_bytes_max,
            max_field_size=limits.header_bytes_max,
            # A packed body would be unpacked past the limit, and nobody sends us one.
            auto_decompress=False,
        )
        self._server: asyncio.Server | None = None
        self.silent: dict[object, asyncio.TimerHandle] = {}
        """Connections that have not sent whole headers yet, and when each is cut; oldest first."""
        self.port = 0

    async def start(self) -> None:
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._wanted_port)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("listens", edge=self._name, port=self.port)

    async def stop(self) -> None:
        """Finish the requests under way, so that none is answered twice."""
        if self._server is not None:
            self._server.close()
        for timer in self.silent.values():
            timer.cancel()
        self.silent.clear()
        await self._runner.cleanup()

    def _accept(self) -> RequestHandler:
        """For headers aiohttp would wait for ever: a connection that sends none is cut."""
        assert self._runner.server is not None
        handler = self._runner.server()
        loop = asyncio.get_running_loop()
        while len(self.silent) >= self._limits.silent_max:
            self._cut_silent(next(iter(self.silent)))
        self.silent[handler] = loop.call_later(READ_SECONDS_MAX, self._cut_silent, handler)
        return handler

    def _cut_silent(self, handler: object) -> None:
        if (timer := self.silent.pop(handler, None)) is not None:
            timer.cancel()
        assert isinstance(handler, RequestHandler)
        if handler.transport is not None:
            refused_count.add(1, {"edge": self._name, "why": "silent"})
            handler.transport.abort()

    async def _receive(self, request: web.Request) -> web.Response:
        # By the protocol, which is ours: what class a transport is of, the loop decides.
        if (timer := self.silent.pop(request.protocol, None)) is not None:
            timer.cancel()
        if self._running >= self._limits.requests_max:
            response = self._turned_away("busy", BUSY_SECONDS, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._running += 1
            try:
                response = await self._limited(request)
            finally:
                self._running -= 1
        response.headers.update(self._headers)
        return response

    async def _limited(self, request: web.Request) -> web.Response:
        listed = request.headers.getall(self._proxies.header, []) if self._proxies.header else []
        caller = self._proxies.caller(request.remote or "", listed)
        now = asyncio.get_running_loop().time()
        if self._addresses is not None and (wait := self._addresses.take(caller.key, now)):
            return self._turned_away("rate", wait)
        try:
            async with asyncio.timeout(self._limits.handling_seconds_max):
                response = await self._handle(request, caller)
        except TimeoutError:
            log.warning("handling_took_too_long", edge=self._name)
            return self._turned_away("slow", BUSY_SECONDS, HTTPStatus.SERVICE_UNAVAILABLE)
        if response.status not in REFUSED or self._strangers is None:
            return response
        wait = self._strangers.take(caller.key, now)
        return self._turned_away("guesses", wait) if wait else response

    def _turned_away(
        self, why: str, seconds: float, status: HTTPStatus = HTTPStatus.TOO_MANY_REQUESTS
    ) -> web.Response:
        refused_count.add(1, {"edge": self._name, "why": why})
        response = later(seconds, status)
        response.force_close()
        return response


def later(seconds: float, status: HTTPStatus = HTTPStatus.TOO_MANY_REQUESTS) -> web.Response:
    """Come again in so many seconds."""
    said = {"Retry-After": str(max(1, math.ceil(seconds))), "Cache-Control": "no-store"}
    return web.Response(status=status, headers=said)


class BodyError(Exception):
    """A body is too large or too slow: answer with `status`."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


async def read_body(request: web.Request) -> bytes:
    """The whole body, also a chunked one. Raises BodyError."""
    if (request.content_length or 0) > request.client_max_size:
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            return await request.read()
    except TimeoutError:
        raise BodyError(HTTPStatus.REQUEST_TIMEOUT) from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from None
