"""The Stars side: invoices, charges, refunds and the bot's balance."""

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from simulators.telegram.errors import ApiError, bad_request
from simulators.telegram.html_markup import utf16_length
from simulators.telegram.params import Params
from simulators.telegram.store import Store

Json = dict[str, Any]

STARS = "XTR"
STARS_MAX = 100_000
SUBSCRIPTION_SECONDS = 2_592_000
SUBSCRIPTION_STARS_MAX = 10_000
LINK = "https://t.me/$"


@dataclass(slots=True)
class Invoice:
    id: str
    title: str
    description: str
    payload: str
    currency: str
    amount: int
    start_parameter: str = ""
    subscription_seconds: int = 0
    photo_url: str | None = None

    def wire(self) -> Json:
        return {
            "title": self.title,
            "description": self.description,
            "start_parameter": self.start_parameter,
            "currency": self.currency,
            "total_amount": self.amount,
        }

    @property
    def link(self) -> str:
        return LINK + self.id


@dataclass(slots=True)
class Charge:
    id: str
    user_id: int
    invoice: Json
    amount: int
    currency: str
    date: float
    refunded_at: float | None = None
    expires_at: float | None = None
    canceled: bool = False
    first_of: str | None = None  # a renewal names the charge that began the subscription

    @property
    def payload(self) -> str:
        return str(self.invoice["payload"])


class Payments:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.invoices: dict[str, Invoice] = {}
        self.charges: dict[str, Charge] = {}
        for body in store.load("invoice"):
            self.invoices[body["id"]] = Invoice(**body)
        for body in store.load("charge"):
            self.charges[body["id"]] = Charge(**body)

    def clear(self) -> None:
        self.invoices.clear()
        self.charges.clear()

    def add_invoice(self, params: Params) -> Invoice:
        invoice = read_invoice(params)
        self.invoices[invoice.id] = invoice
        self._store.save("invoice", invoice.id, invoice)
        return invoice

    def add_charge(
        self, invoice: Invoice, user_id: int, now: float, *, first_of: str | None = None
    ) -> Charge:
        kind = "stx" if invoice.currency == STARS else "pay"
        period = invoice.subscription_seconds
        charge = Charge(
            id=kind + secrets.token_urlsafe(24),
            user_id=user_id,
            invoice=asdict(invoice),
            amount=invoice.amount,
            currency=invoice.currency,
            date=now,
            expires_at=now + period if period else None,
            first_of=first_of,
        )
        self.charges[charge.id] = charge
        self.changed(charge)
        return charge

    def changed(self, charge: Charge) -> None:
        self._store.save("charge", charge.id, charge)

    def balance(self) -> int:
        return sum(
            charge.amount
            for charge in self.charges.values()
            if charge.currency == STARS and charge.refunded_at is None
        )

    def charge_of(self, user_id: int, charge_id: str) -> Charge:
        charge = self.charges.get(charge_id)
        if charge is None or charge.user_id != user_id:
            raise bad_request("CHARGE_NOT_FOUND")
        return charge


def read_invoice(params: Params) -> Invoice:
    title = _bounded(params, "title", 32, "INVOICE_TITLE")
    description = _bounded(params, "description", 255, "INVOICE_DESCRIPTION")
    payload = params.text("payload")
    if not 1 <= len(payload.encode()) <= 128:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    currency = params.text("currency")
    amounts = _amounts(params)
    period = params.integer("subscription_period")
    if currency == STARS:
        if len(amounts) != 1 or not 1 <= amounts[0] <= STARS_MAX:
            raise bad_request("STARS_INVOICE_INVALID")
    elif len(currency) != 3 or not currency.isupper():
        raise bad_request("CURRENCY_INVALID")
    elif not params.text("provider_token"):
        raise bad_request("PAYMENT_PROVIDER_INVALID")
    elif sum(amounts) < 1:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    if period:
        _check_subscription(period, currency, amounts)
    return Invoice(
        id=secrets.token_urlsafe(12),
        title=title,
        description=description,
        payload=payload,
        currency=currency,
        amount=sum(amounts),
        start_parameter=params.text("start_parameter"),
        subscription_seconds=period,
        photo_url=params.text("photo_url") or None,
    )


def _check_subscription(period: int, currency: str, amounts: list[int]) -> None:
    if currency != STARS or period != SUBSCRIPTION_SECONDS:
        raise bad_request("SUBSCRIPTION_PERIOD_INVALID")
    if amounts[0] > SUBSCRIPTION_STARS_MAX:
        raise bad_request("STARS_SUBSCRIPTION_AMOUNT_INVALID")


def _bounded(params: Params, name: str, limit: int, code: str) -> str:
    value = params.text(name).strip()
    if not value:
        raise bad_request(f"{code}_EMPTY")
    if utf16_length(value) > limit:
        raise bad_request(f"{code}_INVALID")
    return value


def _amounts(params: Params) -> list[int]:
    prices = params.decoded("prices", "prices")
    if not isinstance(prices, list):
        raise bad_request("expected an Array of labeled prices")
    if not prices:
        raise bad_request("there must be at least one price")
    return [_amount(price) for price in prices]


def _amount(price: Any) -> int:
    if not isinstance(price, dict):
        raise _price_error("LabeledPrice must be an Object")
    if not price.get("label"):
        raise _price_error("LabeledPrice label must be non-empty")
    amount = price.get("amount")
    if isinstance(amount, str) and amount.lstrip("-").isdigit():
        amount = int(amount)
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise _price_error('Field "amount" must be of type Number')
    return amount


def _price_error(reason: str) -> ApiError:
    return bad_request(f"can't parse labeled price: {reason}")
