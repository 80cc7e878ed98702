"""Receives updates from Telegram over HTTP: 200 only once an update is stored."""

from __future__ import annotations

import secrets

import msgspec
from aiohttp import web

from chassis import logs
from chassis.errors import TransientError
from gateway.adapters.intake import ALLOWED_UPDATES, Intake
from gateway.adapters.telegram import Telegram

log = logs.get("gateway.webhooks")
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


class Webhook:
    """One route. Whatever is not a 200 makes Telegram send the update again for 24 hours."""

    def __init__(
        self, intake: Intake, *, secret: str, path: str, bytes_max: int, host: str, port: int
    ) -> None:
        self._intake = intake
        self._secret = secret.encode()
        self._host = host
        self._wanted_port = port
        application = web.Application(client_max_size=bytes_max)
        application.router.add_post(path, self._receive)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self.port = 0

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._wanted_port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        log.info("webhook_listens", port=self.port)

    async def stop(self) -> None:
        """Finish the requests under way, so that none is answered twice."""
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        # On bytes: comparing str raises on the first non-ASCII character of a guess.
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not secrets.compare_digest(given, self._secret):
            return web.Response(status=401)
        body = await request.read()  # aiohttp answers 413 above client_max_size
        try:
            stored = await self._intake.store([body], way="webhook")
        except msgspec.MsgspecError:
            log.warning("webhook_body_refused", size_bytes=len(body))
            return web.Response(status=400)
        except TransientError as error:
            log.warning("update_not_stored", reason=type(error).__name__)
            return web.Response(status=503)
        return web.Response(status=200 if stored else 503)


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
