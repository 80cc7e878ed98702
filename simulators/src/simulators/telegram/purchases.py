"""A person pays: pre-checkout, the bot's answer within ten seconds, then the payment itself."""

from typing import Any

from simulators.telegram.core import Core
from simulators.telegram.errors import ControlError
from simulators.telegram.payments import LINK, STARS, Charge, Invoice
from simulators.telegram.people import writer

Json = dict[str, Any]


def find_invoice(core: Core, user_id: int, wish: Json) -> Invoice:
    if link := str(wish.get("link") or ""):
        invoice = core.payments.invoices.get(link.removeprefix(LINK))
    else:
        message = core.world.find(wish.get("chat_id") or user_id, int(wish.get("message_id") or 0))
        invoice = core.payments.invoices.get((message and message.invoice_id) or "")
    if invoice is None:
        raise ControlError("there is no such invoice", 404)
    return invoice


async def pay(core: Core, user_id: int, wish: Json) -> Json:
    user, _ = writer(core, user_id, None)
    invoice = find_invoice(core, user_id, wish)
    query_id = core.next_query_id()
    core.checkouts.open(query_id)
    asked_at = core.clock.now()
    query = {
        "id": query_id,
        "from": user.wire(),
        "currency": invoice.currency,
        "total_amount": invoice.amount,
        "invoice_payload": invoice.payload,
    }
    update_id = core.updates.push("pre_checkout_query", query, order_key=user_id)
    asked: Json = {"pre_checkout_query_id": query_id, "pre_checkout_update_id": update_id}
    deadline = asked_at + core.options.pre_checkout_seconds
    try:
        refusal = await core.checkouts.wait(query_id, core.clock, deadline)
    except TimeoutError:
        return {**asked, "status": "timeout", "error_message": "BOT_PRECHECKOUT_TIMEOUT"}
    if refusal is not None:
        return {**asked, "status": "refused", "error_message": refusal}
    charge = core.payments.add_charge(invoice, user_id, core.clock.now())
    settled = _settled(core, user_id, charge)
    called_back = core.faults.charge_back(user_id)
    if called_back is not None:
        give_back(core, charge, told=not called_back.silent)
    return {**asked, "status": "paid", **settled}


def give_back(core: Core, charge: Charge, *, told: bool = True) -> int | None:
    """Money goes back to its payer. Returns the update that says so; `told` False: none does."""
    charge.refunded_at = core.clock.now()
    core.payments.changed(charge)
    if not told:
        return None
    chat = core.world.chat(charge.user_id)
    refunded = {
        "currency": charge.currency,
        "total_amount": charge.amount,
        "invoice_payload": charge.payload,
        "telegram_payment_charge_id": charge.id,
    }
    message = core.world.add(chat, core.bot, {"refunded_payment": refunded})
    return core.updates.push("message", dict(message.wire), order_key=chat.id)


def charge_back(core: Core, user_id: int, charge_id: str, *, silent: bool = False) -> Json:
    """The payer has an app store call the money back: the bot was not asked."""
    charge = core.payments.charges.get(charge_id)
    if charge is None or charge.user_id != user_id:
        raise ControlError("there is no such charge", 404)
    if charge.refunded_at is not None:
        raise ControlError("it went back before", 409)
    return {"update_id": give_back(core, charge, told=not silent)}


def _settled(core: Core, user_id: int, charge: Charge) -> Json:
    user, chat = writer(core, user_id, None)
    payment: Json = {
        "currency": charge.currency,
        "total_amount": charge.amount,
        "invoice_payload": charge.payload,
        "telegram_payment_charge_id": charge.id,
        "provider_payment_charge_id": "" if charge.currency == STARS else f"prov_{charge.id}",
    }
    if charge.expires_at is not None:
        payment["subscription_expiration_date"] = int(charge.expires_at)
        payment["is_recurring"] = True
        if charge.first_of is None:
            payment["is_first_recurring"] = True
    message = core.world.add(chat, user.wire(), {"successful_payment": payment})
    update_id = core.updates.push("message", dict(message.wire), order_key=chat.id)
    return {
        "telegram_payment_charge_id": charge.id,
        "update_id": update_id,
        "message_id": message.message_id,
    }


def _subscription(core: Core, user_id: int, charge_id: str) -> tuple[Charge, Invoice]:
    charge = core.payments.charges.get(charge_id)
    if charge is None or charge.user_id != user_id or charge.expires_at is None:
        raise ControlError("there is no such subscription", 404)
    return charge, Invoice(**charge.invoice)


def renew(core: Core, user_id: int, charge_id: str) -> Json:
    """The next month of a subscription: the same payload under a new charge id."""
    charge, invoice = _subscription(core, user_id, charge_id)
    if charge.canceled:
        raise ControlError("this subscription was cancelled", 409)
    renewal = core.payments.add_charge(
        invoice, user_id, core.clock.now(), first_of=charge.first_of or charge.id
    )
    return _settled(core, user_id, renewal)


def change_subscription(core: Core, user_id: int, charge_id: str, state: str) -> Json:
    charge, invoice = _subscription(core, user_id, charge_id)
    if state not in {"canceled", "active", "failed"}:
        raise ControlError("state must be canceled, active or failed")
    charge.canceled = state != "active"
    core.payments.changed(charge)
    payload = {
        "user": core.world.users[user_id].wire(),
        "invoice_payload": invoice.payload,
        "state": state,
    }
    return {"update_id": core.updates.push("subscription", payload, order_key=user_id)}
