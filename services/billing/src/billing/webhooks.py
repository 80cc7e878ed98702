"""Receives what providers call: 200 only once it is stored and applied, in one transaction."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from billing.handlers.record_provider_event import record_provider_events
from billing.ports.payments import (
    WAY_WEBHOOK,
    PaymentProvider,
    ProviderRefusedError,
    ProviderUnclearError,
    Till,
    TokenRefusedError,
    WebhookRejectedError,
)
from chassis import logs, metrics
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox

log = logs.get("billing.webhooks")
BODY_BYTES_MAX = 256 * 1024
READ_SECONDS_MAX = 5.0
HANDLING_SECONDS_MAX = 20.0
"""Above a provider's own time-out: what takes longer is left to be told again."""
JSON = "application/json"
NO_ANSWER = (ProviderUnclearError, ProviderRefusedError, TokenRefusedError)
"""What a webhook named could not be asked for: the provider has to tell it again."""
webhooks_count = metrics.counter("vitrine.billing.webhooks", description="by provider and status")


class PaymentWebhooks:
    """`POST /pay/<provider>/<secret>`. Nothing of a request is logged but its size and fate."""

    def __init__(
        self,
        providers: Mapping[str, PaymentProvider],
        till: Till,
        outbox: Outbox,
        *,
        secret: str,
        host: str,
        port: int,
        handling_seconds_max: float = HANDLING_SECONDS_MAX,
    ) -> None:
        self._providers = {
            name: each for name, each in providers.items() if each.capabilities.webhooks
        }
        self._till = till
        self._outbox = outbox
        self._secret = secret.encode()
        self._host = host
        self._wanted_port = port
        self._handling_seconds_max = handling_seconds_max
        application = web.Application(client_max_size=BODY_BYTES_MAX + 1)
        application.router.add_route("*", "/{tail:.*}", self._receive)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self._server: asyncio.Server | None = None
        self._silent: dict[object, asyncio.TimerHandle] = {}
        """Connections that have not sent whole headers yet, and when each is cut."""
        self.port = 0

    async def start(self) -> None:
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._host, self._wanted_port)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("payment_webhooks_listen", port=self.port)

    async def stop(self) -> None:
        """Finish the requests under way, so that none is answered twice."""
        if self._server is not None:
            self._server.close()
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()
        await self._runner.cleanup()

    def _accept(self) -> RequestHandler:
        """A connection that has not sent whole headers in time is cut: aiohttp would wait on."""
        assert self._runner.server is not None
        handler = self._runner.server()
        loop = asyncio.get_running_loop()
        self._silent[handler] = loop.call_later(READ_SECONDS_MAX, self._cut_silent, handler)
        return handler

    def _cut_silent(self, handler: RequestHandler) -> None:
        self._silent.pop(handler, None)
        if handler.transport is not None:
            handler.transport.abort()

    async def _receive(self, request: web.Request) -> web.Response:
        # By the protocol, which is ours: what class a transport is of, the loop decides.
        if (timer := self._silent.pop(request.protocol, None)) is not None:
            timer.cancel()
        provider = self._provider(request.path)
        if provider is None:
            return _answer("", HTTPStatus.NOT_FOUND)
        status = await self._take(request, provider)
        text = provider.capabilities.webhook_reply if status == HTTPStatus.OK else ""
        return _answer(provider.name, status, text)

    def _provider(self, path: str) -> PaymentProvider | None:
        """The provider a path names, if it also knows the secret."""
        parts = path.split("/")
        if len(parts) != 4 or parts[:2] != ["", "pay"]:  # noqa: PLR2004 - the path's own parts
            return None
        # On bytes: comparing str raises on the first non-ASCII character of a guess.
        given = parts[3].encode("utf-8", "surrogateescape")
        known = secrets.compare_digest(given, self._secret)
        return self._providers.get(parts[2]) if known else None

    async def _take(self, request: web.Request, provider: PaymentProvider) -> int:
        if request.method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if request.content_type != JSON:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                raw = await request.read()
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT
        except web.HTTPRequestEntityTooLarge:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if len(raw) > BODY_BYTES_MAX:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        try:
            async with asyncio.timeout(self._handling_seconds_max):
                return await self._handle(request, provider, raw)
        except (TransientError, TimeoutError, *NO_ANSWER, *RETRYABLE) as error:
            log.warning("webhook_not_stored", reason=type(error).__name__)
            return HTTPStatus.SERVICE_UNAVAILABLE

    async def _handle(self, request: web.Request, provider: PaymentProvider, raw: bytes) -> int:
        try:
            events = provider.parse_webhook(raw, request.headers, request.remote or "")
        except WebhookRejectedError as error:
            log.warning("webhook_rejected", status=error.status, size_bytes=len(raw))
            return error.status
        if provider.capabilities.webhook_hints:
            # Before the transaction: nothing from outside is waited for inside one.
            events = tuple(await provider.fetch([event.provider_ref for event in events]))
        async with self._outbox.begin() as uow:
            await record_provider_events(
                events, uow, till=self._till, provider=provider.name, way=WAY_WEBHOOK
            )
        return HTTPStatus.OK


def _answer(provider: str, status: int, text: str = "") -> web.Response:
    webhooks_count.add(1, {"provider": provider, "status": str(int(status))})
    headers = {"Allow": "POST"} if status == HTTPStatus.METHOD_NOT_ALLOWED else None
    response = web.Response(status=status, text=text, headers=headers)
    response.force_close()  # one request a connection: what was heard once need not be again
    return response
