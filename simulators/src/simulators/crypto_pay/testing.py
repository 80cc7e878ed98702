"""For tests: a client of the control API, a client of the API itself, a webhook endpoint."""

import hmac
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulators.crypto_pay.api import TOKEN_HEADER
from simulators.crypto_pay.server import CryptoPaySimulator
from simulators.crypto_pay.webhooks import SIGNATURE_HEADER, sign
from simulators.provider.testing import ProviderControlClient, Receiver
from simulators.telegram.testing import WAIT_SECONDS, eventually

__all__ = [
    "SIGNATURE_HEADER",
    "ControlClient",
    "CryptoPaySimulator",
    "Received",
    "WebhookReceiver",
    "eventually",
    "sign",
]

Json = dict[str, Any]


class ControlClient(ProviderControlClient):
    """Speaks to a running simulator, in this process or another one."""

    subject_name = "invoice_id"

    async def api(self, token: str, method: str, **params: Any) -> tuple[int, Json]:
        """A call of the Crypto Pay API itself: the HTTP status and the envelope."""
        url = f"{self.url}/api/{method}"
        headers = {TOKEN_HEADER: token}
        async with self.session.post(url, json=params, headers=headers) as response:
            return response.status, await response.json()

    # --- as a person ------------------------------------------------------------------------

    async def pay(self, invoice_id: int, **payment: Any) -> Json:
        """`asset, amount, user, comment, anonymous, force`; the invoice afterwards."""
        body = await self.call("POST", f"/invoices/{invoice_id}/pay", json=payment)
        return dict(body["invoice"])

    async def expire(self, invoice_id: int) -> Json:
        return dict((await self.call("POST", f"/invoices/{invoice_id}/expire"))["invoice"])

    # --- looking on -------------------------------------------------------------------------

    async def invoices(self, **query: str) -> list[Json]:
        return list((await self.call("GET", "/invoices", params=query))["invoices"])

    async def invoice(self, invoice_id: int) -> Json:
        return dict((await self.call("GET", f"/invoices/{invoice_id}"))["invoice"])

    async def wait_invoice(
        self, payload: str | None = None, *, status: str = "active", timeout: float = WAIT_SECONDS
    ) -> Json:
        """The newest invoice with this status (and payload), as soon as the app made it."""
        query = {"status": status} | ({} if payload is None else {"payload": payload})
        found = await eventually(lambda: self.invoices(**query), bool, timeout=timeout)
        return dict(found[0])

    async def balance(self) -> dict[str, str]:
        return dict((await self.call("GET", "/balance"))["balance"])

    # --- as the world -----------------------------------------------------------------------

    async def rates(self, pairs: Json) -> None:
        await self.call("POST", "/rates", json=pairs)


@dataclass(frozen=True, slots=True)
class Received:
    body: bytes
    signature: str
    genuine: bool

    @property
    def update(self) -> Json:
        return dict(json.loads(self.body))

    @property
    def invoice_id(self) -> int:
        return int(self.update["payload"]["invoice_id"])


class WebhookReceiver(Receiver[Received]):
    """An app's webhook endpoint: keeps what came and answers what a test decides."""

    def __init__(self, token: str) -> None:
        self._token = token
        super().__init__("/crypto-pay", self._take, lambda got: 200 if got.genuine else 403)

    @property
    def invoice_ids(self) -> list[int]:
        return [got.invoice_id for got in self.received]

    def _take(self, body: bytes, request: web.Request) -> Received:
        signature = request.headers.get(SIGNATURE_HEADER, "")
        genuine = hmac.compare_digest(signature, sign(self._token, body))
        return Received(body, signature, genuine)
