"""Crypto Pay (@CryptoBot): invoices in crypto assets or for a fiat price, refunds as transfers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from billing.adapters.providers.wire import NOT_UNDERSTOOD
from billing.domain.charges import Charge
from billing.domain.currencies import EXPONENTS, MINOR_MAX, exponent_of, to_minor, to_text
from billing.domain.errors import InvalidError
from billing.domain.offers import Tender
from billing.domain.payments import Payment
from billing.ports.payments import (
    EVENT_EXPIRED,
    EVENT_PAID,
    Capabilities,
    Created,
    ProviderAwayError,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnclearError,
    Refunded,
    Refused,
    TokenRefusedError,
    WebhookRejectedError,
)
from chassis import logs
from chassis.clock import Clock
from chassis.secrets import Overlap
from contracts.ids import PaymentId
from contracts.payments import CRYPTO_PAY

log = logs.get("billing.crypto_pay")
MAIN_NET = "https://pay.crypt.bot"
TEST_NET = "https://testnet-pay.crypt.bot"
TOKEN_HEADER = "Crypto-Pay-API-Token"  # noqa: S105 - the header's name
SIGNATURE_HEADER = "crypto-pay-api-signature"
FIATS = frozenset({"USD", "EUR", "RUB"})
PAGE = 1_000
PAGES_MAX = 20
FIND_PAGES_MAX = 3
EXPIRES_IN_MIN = 60
IDS_MAX = 200
"""So many ids fit into one getInvoices."""
LOOK_BACK = timedelta(days=2)
"""Invoices are listed by their age: one made so long before the cursor may be paid after it."""
TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5, sock_read=10)
MINOR_UNIT = Decimal(1)
"""So far, and by one smallest unit of the asset, may what came be from a fiat price.

A price in a currency is paid in an asset: its amount is the price by Crypto Pay's rate, rounded to
the asset's digits, and the rate it then states is rounded too. It never states what came in the
currency itself. Whatever differs by more than that rounding was not what was asked for.
"""
ASSET_DIGITS = 8
SPEND_ID_USED = "SPEND_ID_ALREADY_USED"
STATUS_UNAUTHORIZED = 401
STATUS_SERVER_ERROR = 500
STATUS_TOO_MANY = 429


class CryptoPay:
    """A client of our own: about every amount the libraries would make a float of."""

    name = CRYPTO_PAY

    def __init__(
        self, *, token: str | Overlap, base_url: str, tender: Tender, clock: Clock, webhooks: bool
    ) -> None:
        # Coins are not called back; what was sent back as a transfer is in no list of invoices.
        self.capabilities = Capabilities(
            webhooks=webhooks,
            polling=True,
            charge_backs=False,
            states_refunds=False,
            partial_refunds=True,
        )
        self._token = Overlap.fixed(token) if isinstance(token, str) else token
        self._base_url = base_url.rstrip("/")
        self._tender = tender
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def check(self) -> None:
        await self._call("getMe")

    async def create(self, payment: Payment) -> Created:
        assert payment.expires_at is not None
        left = int((payment.expires_at - self._clock.now()).total_seconds())
        price: dict[str, Any] = {"amount": to_text(payment.amount_minor, payment.currency)}
        if payment.currency in FIATS:
            assets = ",".join(self._tender.accepted_assets)
            price |= {"currency_type": "fiat", "fiat": payment.currency}
            price |= {"accepted_assets": assets} if assets else {}
        else:
            price |= {"currency_type": "crypto", "asset": payment.currency}
        invoice = await self._call(
            "createInvoice",
            **price,
            # The one way to find it again: Crypto Pay has no key against making it twice.
            payload=str(payment.payment_id),
            expires_in=max(left, EXPIRES_IN_MIN),
            allow_comments=False,
            allow_anonymous=False,
        )
        return _created(invoice)

    async def find(self, payment_id: PaymentId) -> Created | None:
        for page in range(FIND_PAGES_MAX):
            items = await self._invoices(offset=page * PAGE, count=PAGE)
            for item in items:
                if item.get("payload") == str(payment_id):
                    return _created(item)
            if len(items) < PAGE:
                break
        return None

    def parse_webhook(
        self, raw: bytes, headers: Mapping[str, str], remote_ip: str
    ) -> tuple[ProviderEvent, ...]:
        """The signature is over the raw bytes: written anew, the same JSON has another.

        What was signed with the token before a change may still be on its way.
        """
        del remote_ip  # Crypto Pay publishes no addresses: the signature is the proof
        given = headers.get(SIGNATURE_HEADER, "").encode("utf-8", "surrogateescape")
        wanted = [_signature(token, raw) for token in self._token.known()]
        if not any(hmac.compare_digest(given, each) for each in wanted):
            raise WebhookRejectedError(401)
        try:
            update = msgspec.json.decode(raw, type=dict[str, Any])
            if update.get("update_type") != "invoice_paid":
                return ()
            event = _event(update["payload"], raw)
        except (msgspec.DecodeError, *NOT_UNDERSTOOD) as error:
            raise WebhookRejectedError(400) from error
        return (event,) if event is not None else ()

    async def fetch(self, refs: Sequence[str]) -> list[ProviderEvent]:
        events = []
        for start in range(0, len(refs), IDS_MAX):
            some = ",".join(refs[start : start + IDS_MAX])
            events += _events(await self._invoices(invoice_ids=some, count=PAGE))
        return events

    async def list_since(self, cursor: str) -> tuple[list[ProviderEvent], str]:
        began = self._clock.now()
        since = datetime.fromisoformat(cursor) - LOOK_BACK if cursor else None
        found: list[dict[str, Any]] = []
        for page in range(PAGES_MAX):
            items = await self._invoices(status="paid", offset=page * PAGE, count=PAGE)
            found += items
            if len(items) < PAGE or (
                since is not None and _moment(items[-1]["created_at"]) < since
            ):
                break
        return _events(reversed(found)), began.astimezone(UTC).isoformat()

    async def refund(self, charge: Charge, refund_id: str) -> Refunded | Refused:
        """Send back what was paid, in the asset it was paid in; a fee of theirs is ours to bear."""
        items = await self._invoices(invoice_ids=charge.charge_id)
        paid = next((each for each in items if each.get("status") == "paid"), None)
        if paid is None:
            return Refused("not_paid_there")
        try:
            await self._call(
                "transfer",
                user_id=charge.user_id,
                asset=paid["paid_asset"],
                amount=_part_of(paid, charge),
                spend_id=refund_id,
            )
        except ProviderRefusedError as error:
            code = str(error)
            return Refunded() if code == SPEND_ID_USED else Refused(code.lower())
        return Refunded()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _invoices(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self._call("getInvoices", **query))["items"]
        return items

    async def _call(self, method: str, **parameters: Any) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        url = f"{self._base_url}/api/{method}"
        headers = {TOKEN_HEADER: self._token.current()}
        try:
            async with self._session.post(url, json=parameters, headers=headers) as response:
                status = response.status
                body = await response.read()
            answer = msgspec.json.decode(body, type=dict[str, Any])
        except aiohttp.ClientConnectorError:
            raise ProviderAwayError(method) from None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            # Not the error's own text: it may name the address with its secrets.
            raise ProviderUnclearError(f"{method}: {type(error).__name__}") from None
        if answer.get("ok"):
            return answer["result"]
        reason = str((answer.get("error") or {}).get("name", status))
        if status == STATUS_UNAUTHORIZED:
            raise TokenRefusedError(method)
        if status >= STATUS_SERVER_ERROR or status == STATUS_TOO_MANY:
            raise ProviderUnclearError(f"{method}: {reason}")
        raise ProviderRefusedError(reason)


def _signature(token: str, raw: bytes) -> bytes:
    key = hashlib.sha256(token.encode()).digest()
    return hmac.new(key, raw, hashlib.sha256).hexdigest().encode()


def _part_of(paid: Mapping[str, Any], charge: Charge) -> str:
    """The part that goes back, in the asset; all parts together are what was paid, to the digit."""
    whole = Decimal(str(paid["paid_amount"]))
    if charge.refunding_minor == charge.amount_minor:
        return str(paid["paid_amount"])
    digit = Decimal(1).scaleb(-EXPONENTS.get(str(paid["paid_asset"]), ASSET_DIGITS))

    def gone(minor: int) -> Decimal:
        if minor == charge.amount_minor:
            return whole
        return (whole * minor / charge.amount_minor).quantize(digit, ROUND_DOWN)

    part = gone(charge.refunded_minor + charge.refunding_minor) - gone(charge.refunded_minor)
    return f"{part:f}"


def _created(invoice: Mapping[str, Any]) -> Created:
    expires = invoice.get("expiration_date")
    return Created(
        str(invoice["invoice_id"]),
        str(invoice.get("bot_invoice_url") or invoice["pay_url"]),
        _moment(expires) if expires else None,
        msgspec.json.encode(invoice),
    )


def _events(items: Any) -> list[ProviderEvent]:
    """What the invoices say; one that is none of ours in its form must not stop the others."""
    events = []
    for item in items:
        try:
            event = _event(item, msgspec.json.encode(item))
        except NOT_UNDERSTOOD:
            log.warning("invoice_not_understood", invoice_id=str(item.get("invoice_id", ""))[:64])
            continue
        if event is not None:
            events.append(event)
    return events


def _event(invoice: Mapping[str, Any], raw: bytes) -> ProviderEvent | None:
    """Raises one of NOT_UNDERSTOOD for what is no invoice."""
    ref = str(invoice["invoice_id"])
    payment_id = _payment_id(invoice.get("payload"))
    if invoice["status"] == "expired":
        at = _moment(invoice.get("expiration_date") or invoice["created_at"])
        return ProviderEvent(
            f"{EVENT_EXPIRED}:{ref}", EVENT_EXPIRED, ref, payment_id, ref, 0, "", at, raw
        )
    if invoice["status"] != EVENT_PAID:
        return None
    amount, currency = _paid(invoice)
    return ProviderEvent(
        f"{EVENT_PAID}:{ref}",
        EVENT_PAID,
        ref,
        payment_id,
        ref,
        amount,
        currency,
        _moment(invoice["paid_at"]),
        raw,
    )


def _paid(invoice: Mapping[str, Any]) -> tuple[int, str]:
    """What came, in the invoice's currency, by the provider's own rate where it needs one."""
    if invoice.get("currency_type") != "fiat":
        currency = str(invoice["paid_asset"])
        return to_minor(str(invoice["paid_amount"]), currency), currency
    currency = str(invoice["fiat"])
    asked = Decimal(to_minor(str(invoice["amount"]), currency))
    rate = invoice.get("paid_fiat_rate")
    if rate is None:
        return int(asked), currency
    # Both in minor units of the currency.
    worth = Decimal(str(rate)).scaleb(exponent_of(currency))
    came = Decimal(str(invoice["paid_amount"])) * worth
    if not came.is_finite() or not 0 < came <= MINOR_MAX:
        raise InvalidError("not an amount")
    digits = EXPONENTS.get(str(invoice.get("paid_asset")), ASSET_DIGITS)
    if abs(came - asked) <= MINOR_UNIT + worth.scaleb(-digits):
        return int(asked), currency
    return max(int(came.quantize(MINOR_UNIT, ROUND_HALF_EVEN)), 1), currency


def _payment_id(payload: Any) -> PaymentId | None:
    try:
        return PaymentId(UUID(payload)) if isinstance(payload, str) else None
    except ValueError:
        return None


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))
