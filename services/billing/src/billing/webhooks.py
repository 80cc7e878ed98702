"""Receives what providers call: 200 only once it is stored and applied, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

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
from chassis.callers import Caller, Proxies
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.http_edge import READ_SECONDS_MAX, BodyError, EdgeLimits, HttpEdge, read_body
from chassis.outbox import Outbox
from chassis.rates import Rate
from chassis.secrets import Overlap

log = logs.get("billing.webhooks")
BODY_BYTES_MAX = 256 * 1024
HANDLING_SECONDS_MAX = 20.0
"""Above a provider's own time-out: what takes longer is left to be told again."""
ADDRESS_RATE = Rate(per_second=100.0, burst=1_000)
"""A provider tells again all that we missed while we were away."""
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
        secret: str | Overlap,
        host: str,
        port: int,
        proxies: Proxies | None = None,
        address_rate: Rate = ADDRESS_RATE,
        handling_seconds_max: float = HANDLING_SECONDS_MAX,
    ) -> None:
        self._providers = {
            name: each for name, each in providers.items() if each.capabilities.webhooks
        }
        self._till = till
        self._outbox = outbox
        self._secret = Overlap.fixed(secret) if isinstance(secret, str) else secret
        self._handling_seconds_max = handling_seconds_max
        self._edge = HttpEdge(
            self._receive,
            name="payment webhooks",
            host=host,
            port=port,
            proxies=proxies,
            limits=EdgeLimits(
                body_bytes_max=BODY_BYTES_MAX,
                handling_seconds_max=READ_SECONDS_MAX + handling_seconds_max,
                address=address_rate,
            ),
        )

    @property
    def port(self) -> int:
        return self._edge.port

    async def start(self) -> None:
        await self._edge.start()

    async def stop(self) -> None:
        """Finish the requests under way, so that none is answered twice."""
        await self._edge.stop()

    async def _receive(self, request: web.Request, caller: Caller) -> web.Response:
        provider = self._provider(request.path)
        if provider is None:
            return _answer("", HTTPStatus.NOT_FOUND)
        status = await self._take(request, provider, caller)
        text = provider.capabilities.webhook_reply if status == HTTPStatus.OK else ""
        return _answer(provider.name, status, text)

    def _provider(self, path: str) -> PaymentProvider | None:
        """The provider a path names, if it also knows the secret."""
        parts = path.split("/")
        if len(parts) != 4 or parts[:2] != ["", "pay"]:  # noqa: PLR2004 - the path's own parts
            return None
        given = parts[3].encode("utf-8", "surrogateescape")
        return self._providers.get(parts[2]) if self._secret.knows(given) else None

    async def _take(self, request: web.Request, provider: PaymentProvider, caller: Caller) -> int:
        if request.method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED
        if request.content_type != JSON:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        try:
            raw = await read_body(request)
        except BodyError as error:
            return error.status
        try:
            async with asyncio.timeout(self._handling_seconds_max):
                return await self._handle(provider, raw, request.headers, caller.address)
        except (TransientError, TimeoutError, *NO_ANSWER, *RETRYABLE) as error:
            log.warning("webhook_not_stored", reason=type(error).__name__)
            return HTTPStatus.SERVICE_UNAVAILABLE

    async def _handle(
        self, provider: PaymentProvider, raw: bytes, headers: Mapping[str, str], address: str
    ) -> int:
        try:
            events = provider.parse_webhook(raw, headers, address)
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
