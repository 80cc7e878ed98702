"""Receives updates from Telegram over HTTP: 200 only once an update is stored."""

from __future__ import annotations

import secrets
from http import HTTPStatus

import msgspec
from aiohttp import web

from chassis import logs
from chassis.callers import Caller, Proxies
from chassis.errors import TransientError
from chassis.http_edge import BodyError, EdgeLimits, HttpEdge, read_body
from gateway.adapters.intake import ALLOWED_UPDATES, Intake
from gateway.adapters.telegram import Telegram

log = logs.get("gateway.webhooks")
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


class Webhook:
    """One route. Whatever is not a 200 makes Telegram send the update again for 24 hours."""

    def __init__(
        self,
        intake: Intake,
        *,
        secret: str,
        path: str,
        host: str,
        port: int,
        limits: EdgeLimits,
        proxies: Proxies | None = None,
    ) -> None:
        self._intake = intake
        self._secret = secret.encode()
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
        # On bytes: comparing str raises on the first non-ASCII character of a guess.
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not secrets.compare_digest(given, self._secret):
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


async def register(telegram: Telegram, *, url: str, secret: str, connections_max: int) -> None:
    """Tell Telegram where to call. Raises TransientError: to be tried again."""
    await telegram.call(
        "setWebhook",
        {
            "url": url,
            "secret_token": secret,
            "max_connections": connections_max,
            # Named each time: left out, Telegram keeps the list of the last call.
            "allowed_updates": ALLOWED_UPDATES,
        },
    )
