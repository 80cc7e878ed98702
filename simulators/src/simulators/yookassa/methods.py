"""What the API does, one function a method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulators.yookassa import core as shop
from simulators.yookassa import lists, requests
from simulators.yookassa.core import Core
from simulators.yookassa.errors import ApiError, not_found
from simulators.yookassa.payments import CANCELED, PENDING, SUCCEEDED, WAITING, Payment, Refund
from simulators.yookassa.views import payment_view, refund_view

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """`id`: from the path; empty where it has none."""

    id: str
    query: Mapping[str, str]
    body: Json


def me(core: Core, _asked: Question) -> Json:
    return {
        "account_id": core.options.shop_id,
        "status": "enabled",
        "test": True,
        "fiscalization_enabled": core.options.receipts,
        "payment_methods": ["bank_card"],
    }


# --- payments -------------------------------------------------------------------------------


def create_payment(core: Core, asked: Question) -> Json:
    body = asked.body
    price = requests.price(body)
    now = core.clock.now()
    payment = core.payments.make(
        value=f"{price:.2f}",
        created_at=now,
        expires_at=now + core.options.payment_seconds,
        capture=requests.flag(body, "capture"),
        return_url=requests.return_url(body),
        description=requests.text(body, "description", requests.DESCRIPTION_MAX),
        metadata=requests.metadata(body),
        receipt=requests.receipt(body, price, needed=core.options.receipts),
    )
    return show(core, payment)


def show(core: Core, payment: Payment) -> Json:
    return payment_view(payment, core.options, core.base_url)


def the_payment(core: Core, payment_id: str) -> Payment:
    payment = core.payments.get(payment_id)
    if payment is None:
        raise not_found("Payment", "payment_id")
    return payment


def get_payment(core: Core, asked: Question) -> Json:
    return show(core, the_payment(core, asked.id))


def list_payments(core: Core, asked: Question) -> Json:
    return lists.page(
        core.payments.newest_first(),
        asked.query,
        lambda payment: show(core, payment),
        moments=("created_at", "captured_at"),
        fields=("status",),
    )


def capture_payment(core: Core, asked: Question) -> Json:
    payment = the_payment(core, asked.id)
    if payment.status != WAITING:
        raise ApiError(f"Payment status is {payment.status}, {WAITING} is needed", "status")
    if "amount" in asked.body:
        value = requests.price(asked.body)
        if value > Decimal(payment.value):
            raise requests.fail("amount", "more than was paid")
        payment.value = f"{value:.2f}"
    shop.capture(core, payment)
    return show(core, payment)


def cancel_payment(core: Core, asked: Question) -> Json:
    payment = the_payment(core, asked.id)
    if payment.status not in {PENDING, WAITING}:
        raise ApiError(f"Payment status is {payment.status}, it cannot be canceled", "status")
    shop.cancel(core, payment, "merchant", "canceled_by_merchant")
    return show(core, payment)


# --- refunds --------------------------------------------------------------------------------


def create_refund(core: Core, asked: Question) -> Json:
    body = asked.body
    payment = core.payments.get(str(body.get("payment_id", "")))
    if payment is None:
        raise ApiError("Payment doesn't exist or access denied", "payment_id")
    return refund_view(refund_of(core, payment, body))


def refund_of(core: Core, payment: Payment, body: Json) -> Refund:
    if payment.status != SUCCEEDED:
        raise ApiError("Payment is not succeeded", "payment_id")
    value = requests.price(body)
    under_way = sum(
        Decimal(refund.value)
        for refund in core.refunds.newest_first()
        if refund.payment_id == payment.id and refund.status != CANCELED
    )
    if value > Decimal(payment.value) - under_way:
        raise ApiError("Refund amount exceeds what is left of the payment", "amount")
    # Of a whole refund the receipt is made from the payment's.
    partial = value != Decimal(payment.value)
    refund = core.refunds.make(
        payment_id=payment.id,
        value=f"{value:.2f}",
        created_at=core.clock.now(),
        status=PENDING,
        description=requests.text(body, "description", 250),
        metadata=requests.metadata(body),
        receipt=requests.receipt(body, value, needed=core.options.receipts and partial),
    )
    refused = core.faults.about("refund_canceled", payment.id)
    if refused is not None:
        shop.finish_refund(core, refund, CANCELED, refused.reason or "general_decline")
    elif core.faults.about("refund_pending", payment.id) is None:
        shop.finish_refund(core, refund, SUCCEEDED)
    return refund


def get_refund(core: Core, asked: Question) -> Json:
    refund = core.refunds.get(asked.id)
    if refund is None:
        raise not_found("Refund", "refund_id")
    return refund_view(refund)


def list_refunds(core: Core, asked: Question) -> Json:
    return lists.page(
        core.refunds.newest_first(),
        asked.query,
        refund_view,
        moments=("created_at",),
        fields=("status", "payment_id"),
    )


Method = Callable[[Core, Question], Json]
ROUTES: tuple[tuple[str, str, Method], ...] = (
    ("GET", "/v3/me", me),
    ("POST", "/v3/payments", create_payment),
    ("GET", "/v3/payments", list_payments),
    ("GET", "/v3/payments/{id}", get_payment),
    ("POST", "/v3/payments/{id}/capture", capture_payment),
    ("POST", "/v3/payments/{id}/cancel", cancel_payment),
    ("POST", "/v3/refunds", create_refund),
    ("GET", "/v3/refunds", list_refunds),
    ("GET", "/v3/refunds/{id}", get_refund),
)
