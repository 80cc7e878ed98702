"""YooKassa: payments in roubles. Its webhooks prove nothing, so what they name is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from billing.adapters.providers import wire
from billing.adapters.providers.wire import Json
from billing.domain.charges import Charge
from billing.domain.currencies import to_minor, to_text
from billing.domain.payments import Payment
from billing.ports import payments as port
from billing.ports.payments import Capabilities, Created, ProviderEvent, Refunded, Refused
from chassis.clock import Clock
from chassis.secrets import Secret
from contracts.ids import PaymentId
from contracts.payments import YOOKASSA

ADDRESS = "https://api.yookassa.ru/v3"
# Where webhooks come from, as published.
NETWORKS = wire.networks(
    "185.71.76.0/27 185.71.77.0/27 77.75.153.0/25 77.75.154.128/25 "
    "77.75.156.11/32 77.75.156.35/32 2a02:5180::/32"
)
ABLE = Capabilities(webhook_hints=True, polling=True, creates_once=True, partial_refunds=True)
FIND_WITHIN = timedelta(days=1)  # as long as an Idempotence-Key is remembered
LOOK_BACK = timedelta(days=2)  # a refund is listed by its birth and may succeed later


@dataclass(frozen=True, slots=True)
class Shop:
    """Our account at YooKassa, and the receipts that 54-FZ asks of it."""

    shop_id: str
    secret: str | Secret
    return_url: str
    base_url: str = ADDRESS
    receipt_email: str = ""  # where receipts go; empty: none are made
    vat_code: int = 1
    item: str = "Credits"  # what receipts and the pay page call the product
    checks_ip: bool = False


class YooKassa:
    """A client of our own: the official one blocks."""

    name = YOOKASSA

    def __init__(self, shop: Shop, *, clock: Clock, webhooks: bool) -> None:
        self.capabilities = replace(ABLE, webhooks=webhooks)
        self._shop = shop
        self._clock = clock
        self._api = wire.JsonCaller(shop.base_url, shop.shop_id, shop.secret)

    async def check(self) -> None:
        await self._api.call("GET", "/me")

    async def create(self, payment: Payment) -> Created:
        amount = _amount(payment)
        description = f"{self._shop.item}: {payment.all_credits or payment.product_id}"
        body: Json = {
            "amount": amount,
            "capture": True,
            "confirmation": {"type": "redirect", "return_url": self._shop.return_url},
            "description": description,
            "metadata": {"payment_id": str(payment.payment_id)},
        }
        if self._shop.receipt_email:
            item = {
                "description": description,
                "quantity": 1,
                "amount": amount,
                "vat_code": self._shop.vat_code,
                "payment_mode": "full_payment",
                "payment_subject": "service",
            }
            body["receipt"] = {"customer": {"email": self._shop.receipt_email}, "items": [item]}
        return _created(await self._post("/payments", str(payment.payment_id), body))

    async def find(self, payment_id: PaymentId) -> Created | None:
        since = self._clock.now() - FIND_WITHIN
        found, _ = await self._api.pages("/payments", {"created_at.gte": wire.moment_text(since)})
        return next((_created(item) for item in found if _ours(item) == payment_id), None)

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], remote_ip: str
    ) -> tuple[ProviderEvent, ...]:
        """Unsigned: all it gives is which payment to ask for."""
        del headers
        if self._shop.checks_ip and not wire.is_from(remote_ip, NETWORKS):
            raise port.WebhookRejectedError(401)
        try:
            told = msgspec.json.decode(raw, type=Json)
            refund = told["event"].startswith("refund.")
            ref = str(UUID(told["object"]["payment_id" if refund else "id"]))
        except (msgspec.DecodeError, *wire.NOT_UNDERSTOOD) as error:
            raise port.WebhookRejectedError(400) from error
        return (port.hint(ref, self._clock.now(), raw),)

    async def fetch(self, refs: Sequence[str]) -> list[ProviderEvent]:
        found = await wire.ask_each(refs, self._payment)
        return wire.understood((item for item in found if item is not None), _told)

    async def list_since(self, cursor: str) -> tuple[list[ProviderEvent], str]:
        began = self._clock.now()
        paid, all_paid = await self._api.pages("/payments", _since(cursor, "captured_at"))
        refunds, all_refunds = await self._api.pages("/refunds", _since(cursor, "created_at"))
        elder = {str(item["payment_id"]) for item in refunds} - {item["id"] for item in paid}
        events = wire.understood(reversed(paid), _told) + await self.fetch(sorted(elder))
        # Cut short, the next list begins where this one did.
        return events, wire.moment_text(began) if all_paid and all_refunds else cursor

    async def refund(self, charge: Charge, refund_id: str) -> Refunded | Refused:
        assert charge.refunding_minor > 0, "nothing is to be given back"
        part = to_text(charge.refunding_minor, charge.currency)
        amount = {"value": part, "currency": charge.currency}
        body = {"payment_id": charge.charge_id, "amount": amount}
        gone = charge.refunded_minor + charge.refunding_minor
        try:
            made = await self._post("/refunds", refund_id, body)
        except port.ProviderRefusedError as error:
            # Asked before, longer ago than the key is remembered, or done by hand.
            item = await self._payment(charge.charge_id)
            done = item and to_minor(str(_given_back(item)), charge.currency) >= gone
            return Refunded() if done else Refused(str(error))
        if made["status"] == "pending":  # the kept answer to the same key may be old
            made = await self._api.call("GET", f"/refunds/{made['id']}")
        if made["status"] == "canceled":
            return Refused(str(made["cancellation_details"]["reason"]))
        if made["status"] == "pending":
            raise port.ProviderUnclearError("the refund is pending")
        return Refunded()

    async def close(self) -> None:
        await self._api.close()

    async def _payment(self, ref: str) -> Json | None:
        try:
            return await self._api.call("GET", f"/payments/{ref}")
        except port.ProviderRefusedError as error:
            if str(error) == "not_found":
                return None
            raise

    async def _post(self, path: str, key: str, body: Json) -> Json:
        return await self._api.call("POST", path, headers={"Idempotence-Key": key}, json=body)


def _amount(money: Payment) -> Json:
    return {"value": to_text(money.amount_minor, money.currency), "currency": money.currency}


def _since(cursor: str, name: str) -> Json:
    since = wire.moment_text(datetime.fromisoformat(cursor) - LOOK_BACK) if cursor else ""
    return {"status": "succeeded"} | ({f"{name}.gte": since} if since else {})


def _ours(item: Json) -> PaymentId | None:
    return wire.payment_id((item.get("metadata") or {}).get("payment_id"))


def _created(item: Json) -> Created:
    url = (item.get("confirmation") or {}).get("confirmation_url", "")
    return Created(item["id"], url, None, msgspec.json.encode(item))


def _given_back(item: Json) -> Decimal:
    return Decimal((item.get("refunded_amount") or {"value": "0"})["value"])


def _is_given_back(item: Json) -> bool:
    """The whole of it."""
    return _given_back(item) == Decimal(item["amount"]["value"])


def _told(item: Json) -> Iterator[ProviderEvent]:
    ref, currency = item["id"], item["amount"]["currency"]
    told: list[tuple[str, str]] = []
    amount = item["amount"]["value"]
    if item["status"] == "succeeded":
        told = [(port.EVENT_PAID, amount)]
        if _is_given_back(item):
            told.append((port.EVENT_REFUNDED, amount))
        elif _given_back(item):
            told.append((port.EVENT_PARTLY_REFUNDED, item["refunded_amount"]["value"]))
    elif item["status"] == "canceled":
        late = item["cancellation_details"]["reason"] == "expired_on_confirmation"
        told = [(port.EVENT_EXPIRED if late else port.EVENT_CANCELLED, amount)]
    at = datetime.fromisoformat(item.get("captured_at") or item["created_at"])
    raw = msgspec.json.encode(item)
    for kind, value in told:
        part = f":{value}" if kind == port.EVENT_PARTLY_REFUNDED else ""
        key, minor = f"{kind}:{ref}{part}", to_minor(value, currency)
        yield ProviderEvent(key, kind, ref, _ours(item), ref, minor, currency, at, raw)
