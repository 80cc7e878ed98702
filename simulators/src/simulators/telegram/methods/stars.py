"""Invoices, pre-checkout answers, refunds and the Stars statement."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import bad_request
from simulators.telegram.methods.answers import QUERY_TOO_OLD
from simulators.telegram.outgoing import send, writable_chat
from simulators.telegram.params import Params
from simulators.telegram.payments import STARS, Charge
from simulators.telegram.purchases import give_back

Json = dict[str, Any]

TRANSACTIONS_MAX = 100


async def send_invoice(core: Core, params: Params) -> Json:
    writable_chat(core, params)
    invoice = core.payments.add_invoice(params)
    message = send(core, params, {"invoice": invoice.wire()}, invoice_id=invoice.id)
    return dict(message.wire)


async def create_invoice_link(core: Core, params: Params) -> str:
    return core.payments.add_invoice(params).link


async def answer_pre_checkout_query(core: Core, params: Params) -> bool:
    ok = params.flag("ok")
    reason = params.text("error_message")
    if not ok and not reason:
        raise bad_request("PRECHECKOUT_ERROR_MESSAGE_EMPTY")
    if not core.checkouts.answer(params.text("pre_checkout_query_id"), None if ok else reason):
        raise bad_request(QUERY_TOO_OLD)
    return True


async def refund_star_payment(core: Core, params: Params) -> bool:
    user_id = params.integer("user_id")
    charge = core.payments.charge_of(user_id, params.text("telegram_payment_charge_id"))
    if charge.currency != STARS:
        raise bad_request("CHARGE_NOT_FOUND")
    if charge.refunded_at is not None:
        raise bad_request("CHARGE_ALREADY_REFUNDED")
    give_back(core, charge)
    return True


async def edit_user_star_subscription(core: Core, params: Params) -> bool:
    charge = core.payments.charge_of(
        params.integer("user_id"), params.text("telegram_payment_charge_id")
    )
    if charge.expires_at is None:
        raise bad_request("CHARGE_NOT_FOUND")
    charge.canceled = params.flag("is_canceled")
    core.payments.changed(charge)
    return True


async def get_star_transactions(core: Core, params: Params) -> Json:
    offset = max(params.integer("offset"), 0)
    limit = min(max(params.integer("limit", 100), 1), TRANSACTIONS_MAX)
    transactions = []
    for charge in core.payments.charges.values():
        if charge.currency != STARS:
            continue
        partner = _partner(core, charge)
        transactions.append(_transaction(charge, int(charge.date), source=partner))
        if charge.refunded_at is not None:
            back = _transaction(charge, int(charge.refunded_at), receiver=partner)
            transactions.append(back)
    transactions.sort(key=lambda transaction: int(transaction["date"]))
    return {"transactions": transactions[offset : offset + limit]}


def _partner(core: Core, charge: Charge) -> Json:
    user = core.world.users.get(charge.user_id)
    partner: Json = {
        "type": "user",
        "transaction_type": "invoice_payment",
        "user": user.wire() if user else {"id": charge.user_id, "is_bot": False, "first_name": ""},
        "invoice_payload": charge.payload,
    }
    if period := charge.invoice["subscription_seconds"]:
        partner["subscription_period"] = period
    return partner


def _transaction(charge: Charge, date: int, **partner: Json) -> Json:
    return {"id": charge.id, "amount": charge.amount, "date": date, **partner}


async def get_my_star_balance(core: Core, _params: Params) -> Json:
    return {"amount": core.payments.balance()}
