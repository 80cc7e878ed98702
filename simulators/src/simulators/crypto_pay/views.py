"""Invoices and transfers as the API writes them."""

from typing import Any

from simulators.crypto_pay.invoices import Invoice
from simulators.crypto_pay.wallet import Transfer
from simulators.provider.moments import iso

Json = dict[str, Any]

OPTIONAL = (
    "asset",
    "fiat",
    "paid_asset",
    "paid_amount",
    "paid_usd_rate",
    "paid_fiat_rate",
    "fee_asset",
    "fee_amount",
    "fee_in_usd",
    "description",
    "hidden_message",
    "payload",
    "paid_btn_name",
    "paid_btn_url",
    "swap_to",
    "paid_anonymously",
    "comment",
)


def invoice_view(invoice: Invoice, base: str) -> Json:
    """A field that has no value is absent."""
    link = f"{base}/pay/{invoice.hash}"
    view: Json = {
        "invoice_id": invoice.invoice_id,
        "hash": invoice.hash,
        "currency_type": invoice.currency_type,
        "amount": invoice.amount,
        "pay_url": link,
        "bot_invoice_url": link,
        "mini_app_invoice_url": link,
        "web_app_invoice_url": link,
        "status": invoice.status,
        "created_at": iso(invoice.created_at),
        "allow_comments": invoice.allow_comments,
        "allow_anonymous": invoice.allow_anonymous,
    }
    for name in OPTIONAL:
        if (value := getattr(invoice, name)) is not None:
            view[name] = value
    if invoice.currency_type == "fiat":
        view["accepted_assets"] = list(invoice.accepted_assets)
    if invoice.expires_at is not None:
        view["expiration_date"] = iso(invoice.expires_at)
    if invoice.paid_at is not None:
        view["paid_at"] = iso(invoice.paid_at)
        if invoice.swap_to is not None:
            # The swap is not guaranteed; here it never succeeds.
            view["is_swapped"] = False
    return view


def paid_payload(invoice: Invoice, base: str) -> Json:
    """The invoice in a webhook: with two deprecated fields that are found nowhere else."""
    view = invoice_view(invoice, base)
    return {**view, "fee": invoice.fee_amount, "usd_rate": invoice.paid_usd_rate}


def transfer_view(transfer: Transfer) -> Json:
    view: Json = {
        "transfer_id": transfer.transfer_id,
        "spend_id": transfer.spend_id,
        "user_id": transfer.user_id,
        "asset": transfer.asset,
        "amount": transfer.amount,
        "status": "completed",
        "completed_at": iso(transfer.completed_at),
    }
    if transfer.comment is not None:
        view["comment"] = transfer.comment
    return view
