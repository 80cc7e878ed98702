"""What Telegram says in the chat about Stars becomes an event, in the update's transaction."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import msgspec

from contracts.gateway import StarsPaid, StarsRefundRecorded
from gateway.adapters.intake import peek

PAYMENT = {
    "currency": "XTR",
    "total_amount": 275,
    "invoice_payload": "a sealed payload",
    "telegram_payment_charge_id": "stx1",
    "provider_payment_charge_id": "",
}
UNTIL = 1_792_592_000


async def test_a_payment_is_recorded_as_telegram_told_it(chat):
    answers = await chat.service_message(successful_payment=PAYMENT)

    (paid,) = await chat.emitted(StarsPaid)
    assert answers == ()
    assert (paid.charge_id, paid.invoice_payload) == ("stx1", "a sealed payload")
    assert (paid.amount_minor, paid.currency) == (275, "XTR")
    assert paid.paid_at == datetime.fromtimestamp(1_790_000_000, UTC)
    assert not paid.recurring
    assert paid.subscription_until is None
    assert json.loads(paid.raw) == PAYMENT


async def test_a_first_and_a_renewed_month_are_told_apart(chat):
    month = {**PAYMENT, "is_recurring": True, "subscription_expiration_date": UNTIL}

    await chat.service_message(successful_payment={**month, "is_first_recurring": True})
    await chat.service_message(successful_payment={**month, "telegram_payment_charge_id": "stx2"})

    first, renewal = await chat.emitted(StarsPaid)
    assert (first.recurring, first.first_recurring) == (True, True)
    assert (renewal.recurring, renewal.first_recurring) == (True, False)
    assert renewal.invoice_payload == first.invoice_payload
    assert renewal.subscription_until == datetime.fromtimestamp(UNTIL, UTC)


async def test_nothing_a_person_typed_is_kept(chat):
    typed = {"name": "Anna", "phone_number": "+1"}

    await chat.service_message(successful_payment={**PAYMENT, "order_info": typed})

    (paid,) = await chat.emitted(StarsPaid)
    assert b"Anna" not in paid.raw


async def test_the_same_update_again_is_one_payment(chat):
    update = {"update_id": 77, "message": chat._message(successful_payment=PAYMENT)}
    update["update_id"] += chat.user_id
    body = msgspec.json.encode(update)

    first = await chat.turns.work(peek(body), body)
    again = await chat.turns.work(peek(body), body)

    assert not first.repeated
    assert again.repeated
    assert len(await chat.emitted(StarsPaid)) == 1


async def test_money_counts_in_a_group_too(chat):
    group = {"id": -500, "type": "group", "title": "G"}

    answers = await chat.service_message(successful_payment=PAYMENT, chat=group)

    assert answers == ()
    assert len(await chat.emitted(StarsPaid)) == 1


async def test_a_refund_is_the_persons_though_the_bot_says_it(chat):
    refund = {key: PAYMENT[key] for key in PAYMENT if not key.startswith("provider")}

    await chat.service_message(from_bot=True, refunded_payment=refund)

    assert await chat.emitted(StarsRefundRecorded) == [
        StarsRefundRecorded(user_id=chat.user_id, charge_id="stx1")
    ]


_LIGHT = """
import json, sys
from gateway.adapters import light_aiogram
light_aiogram.load()
from aiogram.types import Update
from gateway.bot.stars import _raw
message = json.loads(sys.argv[1])
paid = Update.model_validate({"update_id": 1, "message": message}).message.successful_payment
message["refunded_payment"] = message.pop("successful_payment")
refund = Update.model_validate({"update_id": 2, "message": message}).message.refunded_payment
sys.stdout.buffer.write(_raw(paid))
print(refund.telegram_payment_charge_id, file=sys.stderr)
"""


async def test_the_light_build_of_aiogram_reads_payments(chat):
    """As the service runs: in a process of its own, where only an update's model is built."""
    month = {**PAYMENT, "is_recurring": True, "subscription_expiration_date": UNTIL}
    typed = {**month, "order_info": {"name": "Anna"}}
    message = json.dumps(chat._message(successful_payment=typed))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LIGHT, message, stdout=pipe, stderr=pipe
    )

    out, told = await process.communicate()

    assert json.loads(out) == month, told
    assert told.decode().strip() == "stx1"
