"""Payments and refunds as the API shows them; a field that has no value is absent."""

from typing import Any

from simulators.provider.moments import iso
from simulators.yookassa.options import Options
from simulators.yookassa.payments import CANCELED, PENDING, SUCCEEDED, WAITING, Payment, Refund

Json = dict[str, Any]
CURRENCY = "RUB"


def money(value: str) -> Json:
    return {"value": value, "currency": CURRENCY}


def payment_view(payment: Payment, options: Options, base: str) -> Json:
    paid = payment.status in {WAITING, SUCCEEDED}
    view: Json = {
        "id": payment.id,
        "status": payment.status,
        "amount": money(payment.value),
        "recipient": {"account_id": options.shop_id, "gateway_id": options.shop_id},
        "created_at": iso(payment.created_at),
        "test": True,
        "paid": paid,
        "refundable": payment.status == SUCCEEDED and payment.refunded != payment.value,
        "metadata": payment.metadata,
    }
    if payment.description is not None:
        view["description"] = payment.description
    if payment.status == PENDING:
        view["confirmation"] = {
            "type": "redirect",
            "return_url": payment.return_url,
            "confirmation_url": f"{base}/pay/{payment.id}",
        }
    if paid:
        view["payment_method"] = {
            "type": "bank_card",
            "id": payment.id,
            "saved": False,
            "title": "Bank card *4477",
            "card": {"first6": "555555", "last4": "4477", "card_type": "MasterCard"},
        }
    if payment.status == WAITING:
        view["expires_at"] = iso(payment.expires_at)
    if payment.captured_at is not None:
        view["captured_at"] = iso(payment.captured_at)
        view["refunded_amount"] = money(payment.refunded)
    if payment.status == CANCELED:
        view["cancellation_details"] = {
            "party": payment.cancel_party,
            "reason": payment.cancel_reason,
        }
    if payment.receipt is not None:
        view["receipt_registration"] = SUCCEEDED if payment.captured_at else PENDING
    return view


def refund_view(refund: Refund) -> Json:
    view: Json = {
        "id": refund.id,
        "payment_id": refund.payment_id,
        "status": refund.status,
        "created_at": iso(refund.created_at),
        "amount": money(refund.value),
        "metadata": refund.metadata,
    }
    if refund.description is not None:
        view["description"] = refund.description
    if refund.cancel_reason is not None:
        view["cancellation_details"] = {"party": "refund_network", "reason": refund.cancel_reason}
    if refund.receipt is not None:
        view["receipt_registration"] = refund.status
    return view
