"""Receives updates from Telegram over HTTP: 200 only once an update is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from aiohttp import web

from chassis import logs
from chassis.callers import Caller, Proxies
from chassis.clock import Clock
from chassis.errors import TransientError
from chassis.http_edge import BodyError, EdgeLimits, HttpEdge, read_body
from chassis.secrets import Overlap, Secret
from gateway.adapters.intake import ALLOWED_UPDATES, Intake
from gateway.adapters.telegram import Telegram

log = logs.get("gateway.webhooks")
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name
LOOK_EVERY = timedelta(seconds=2)


class Webhook:
    """One route. Whatever is not a 200 makes Telegram send the update again for 24 hours."""

    def __init__(
        self,
        intake: Intake,
        *,
        guard: Overlap,
        path: str,
        host: str,
        port: int,
        limits: EdgeLimits,
        proxies: Proxies | None = None,
    ) -> None:
        self._intake = intake
        self._guard = guard
        self._path = path
        self._edge = HttpEdge(
            self._receive, name="telegram", host=host, port=port, limits=limits, proxies=proxies
        )

    @property
    def port(self) -> int:
        return self._edge.port

    async def start(self) -> None:
        await self._edge.start()

    async def stop(self) -> None:
        """Finish the requests under way, so that none is answered twice."""
        await self._edge.stop()

    async def _receive(self, request: web.Request, _: Caller) -> web.Response:
        if request.path != self._path:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        if request.method != "POST":
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not self._guard.knows(given):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        try:
            return web.Response(status=await self._store(await read_body(request)))
        except BodyError as error:
            return web.Response(status=error.status)

    async def _store(self, body: bytes) -> int:
        try:
            stored = await self._intake.store([body], way="webhook")
        except msgspec.MsgspecError:
            log.warning("webhook_body_refused", size_bytes=len(body))
            return HTTPStatus.BAD_REQUEST
        except TransientError as error:
            log.warning("update_not_stored", reason=type(error).__name__)
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.OK if stored else HTTPStatus.SERVICE_UNAVAILABLE


class Registration:
    """Tells Telegram where to call, and with which secret: at the start and after each change."""

    def __init__(
        self,
        telegram: Telegram,
        guard: Overlap,
        token: Secret,
        clock: Clock,
        *,
        url: str,
        connections_max: int,
        wait: timedelta,
    ) -> None:
        self._telegram = telegram
        self._guard = guard
        self._token = token
        self._clock = clock
        self._url = url
        self._connections_max = connections_max
        self._wait = wait
        self._secret = guard.current()
        """What Telegram is to show us."""
        self._due: tuple[str, datetime] | None = None
        """The next one, and when every replica has seen it too."""
        self._told: tuple[str, str] | None = None
        """Under which token, and which secret."""

    async def look(self) -> None:
        """Call Telegram if what it knows is no longer so; what fails is tried at the next look."""
        self._choose()
        wanted = (self._token(), self._secret)
        # Without an address of ours somebody else tells Telegram.
        if not self._url or wanted == self._told:
            return
        try:
            await self._register(self._secret)
        except TransientError as error:
            log.warning("webhook_not_set", reason=type(error).__name__)
            return
        self._told = wanted
        log.info("webhook_set")

    def _choose(self) -> None:
        current = self._guard.current()
        if current == self._secret:
            self._due = None
        elif self._due is None or self._due[0] != current:
            self._due = (current, self._clock.now() + self._wait)
        if self._due is not None and self._clock.now() >= self._due[1]:
            self._secret, self._due = current, None

    async def _register(self, secret: str) -> None:
        await self._telegram.call(
            "setWebhook",
            {
                "url": self._url,
                "secret_token": secret,
                "max_connections": self._connections_max,
                # Named each time: left out, Telegram keeps the list of the last call.
                "allowed_updates": ALLOWED_UPDATES,
            },
        )
