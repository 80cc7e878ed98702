"""For tests: a client of the control API, a client of the API itself, a webhook endpoint."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from simulators.provider.testing import ProviderControlClient, Receiver
from simulators.telegram.testing import WAIT_SECONDS, eventually
from simulators.yookassa.idempotence import HEADER
from simulators.yookassa.server import YooKassaSimulator

__all__ = [
    "ApiClient",
    "ControlClient",
    "Received",
    "WebhookReceiver",
    "YooKassaSimulator",
    "eventually",
]

Json = dict[str, Any]


class ApiClient:
    """Calls the API itself, as a shop does."""

    def __init__(self, control: "ControlClient", shop_id: str, secret: str) -> None:
        self._control = control
        self._auth = {"Authorization": aiohttp.encode_basic_auth(shop_id, secret)}

    async def get(self, path: str, **query: Any) -> tuple[int, Json]:
        return await self._call("GET", path, {}, params=query)

    async def post(self, path: str, body: Json, *, key: str | None = None) -> tuple[int, Json]:
        """`key`: of idempotence; a new one without it, none when it is empty."""
        key = str(uuid4()) if key is None else key
        return await self._call("POST", path, {HEADER: key} if key else {}, json=body)

    async def _call(
        self, verb: str, path: str, headers: dict[str, str], **options: Any
    ) -> tuple[int, Json]:
        url = f"{self._control.url}/v3{path}"
        headers = {**self._auth, **headers}
        async with self._control.session.request(verb, url, headers=headers, **options) as answer:
            return answer.status, await answer.json()


class ControlClient(ProviderControlClient):
    """Speaks to a running simulator, in this process or another one."""

    async def make_payment(self, body: Json) -> Json:
        return dict((await self.call("POST", "/payments", json=body))["payment"])

    # --- as a person ------------------------------------------------------------------------

    async def pay(self, payment_id: str, **how: Any) -> Json:
        """`amount`, `force`; the payment afterwards."""
        return await self._act(payment_id, "pay", how)

    async def decline(self, payment_id: str, **how: Any) -> Json:
        return await self._act(payment_id, "decline", how)

    async def expire(self, payment_id: str) -> Json:
        return await self._act(payment_id, "expire", {})

    async def _act(self, payment_id: str, what: str, how: Json) -> Json:
        body = await self.call("POST", f"/payments/{payment_id}/{what}", json=how)
        return dict(body["payment"])

    # --- as the owner -----------------------------------------------------------------------

    async def refund(self, payment_id: str, **how: Any) -> Json:
        """`amount`; the refund."""
        body = await self.call("POST", f"/payments/{payment_id}/refund", json=how)
        return dict(body["refund"])

    async def charge_back(self, payment_id: str) -> Json:
        body = await self.call("POST", f"/payments/{payment_id}/charge-back", json={})
        return dict(body["refund"])

    async def finish_refund(self, refund_id: str, status: str, reason: str | None = None) -> Json:
        how = {"status": status, "reason": reason}
        return dict((await self.call("POST", f"/refunds/{refund_id}/finish", json=how))["refund"])

    async def settings(self, **wish: Any) -> None:
        await self.call("POST", "/settings", json=wish)

    # --- looking on -------------------------------------------------------------------------

    async def payments(self, **query: str) -> list[Json]:
        return list((await self.call("GET", "/payments", params=query))["payments"])

    async def payment(self, payment_id: str) -> Json:
        return dict((await self.call("GET", f"/payments/{payment_id}"))["payment"])

    async def wait_payment(
        self, metadata: str, *, status: str = "pending", timeout: float = WAIT_SECONDS
    ) -> Json:
        """The newest payment with this value in its metadata, as soon as the shop made it."""
        query = {"status": status, "metadata": metadata}
        found = await eventually(lambda: self.payments(**query), bool, timeout=timeout)
        return dict(found[0])

    async def refunds(self) -> list[Json]:
        return list((await self.call("GET", "/refunds"))["refunds"])


@dataclass(frozen=True, slots=True)
class Received:
    body: bytes

    @property
    def event(self) -> str:
        return str(json.loads(self.body)["event"])

    @property
    def object(self) -> Json:
        return dict(json.loads(self.body)["object"])


class WebhookReceiver(Receiver[Received]):
    """A shop's webhook endpoint: keeps what came and answers what a test decides."""

    def __init__(self) -> None:
        super().__init__("/yookassa", self._take, lambda _got: 200)

    @property
    def events(self) -> list[str]:
        return [got.event for got in self.received]

    def _take(self, body: bytes, _request: web.Request) -> Received:
        return Received(body)
