"""What Telegram says in the chat about Stars: somebody paid, or got a payment back."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiogram import F, Router
from aiogram.types import Message, SuccessfulPayment

from contracts.gateway import StarsPaid, StarsRefundRecorded
from gateway.bot.where import Where
from gateway.ports import Turn

router = Router(name="stars")
_PERSONAL = {"order_info", "shipping_option_id"}
"""What a person may have typed; the shop asks for none of it, and keeps none of it."""


@router.message(Where(F.successful_payment))
async def paid(message: Message, turn: Turn) -> None:
    """Only recorded here: billing decides what it bought, and says so."""
    payment = message.successful_payment
    assert payment is not None, "the filter passes payments only"
    until = payment.subscription_expiration_date
    turn.uow.emit(
        StarsPaid(
            user_id=turn.person.user_id,
            charge_id=payment.telegram_payment_charge_id,
            invoice_payload=payment.invoice_payload,
            amount_minor=payment.total_amount,
            currency=payment.currency,
            paid_at=message.date,
            recurring=bool(payment.is_recurring),
            first_recurring=bool(payment.is_first_recurring),
            subscription_until=datetime.fromtimestamp(until, UTC) if until else None,
            raw=_raw(payment),
        )
    )


@router.message(Where(F.refunded_payment))
async def refunded(message: Message, turn: Turn) -> None:
    """Asked for or not: this is the fact, and may come before the answer to the asking."""
    payment = message.refunded_payment
    assert payment is not None, "the filter passes refunds only"
    turn.uow.emit(
        StarsRefundRecorded(
            user_id=turn.person.user_id, charge_id=payment.telegram_payment_charge_id
        )
    )


def _raw(payment: SuccessfulPayment) -> bytes:
    """Its fields, all plain values; pydantic dumps built models only (ADR 0007)."""
    fields = {**vars(payment), **(payment.model_extra or {})}
    kept = {
        name: value for name, value in fields.items() if value is not None and name not in _PERSONAL
    }
    return msgspec.json.encode(kept)
