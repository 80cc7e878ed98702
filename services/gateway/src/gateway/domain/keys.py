"""The names under which sent messages are remembered, so that they can be edited later."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from contracts.ids import MediaId, OrderId, PaymentId, UserId


def order(order_id: OrderId) -> str:
    """The one message that follows an order: price, queue, progress, end."""
    return f"order:{order_id}"


def upload(media_id: MediaId) -> str:
    """The answer to an upload: what can be made of it, or why nothing can."""
    return f"media:{media_id}"


def welcome(user_id: UserId) -> str:
    return f"welcome:{user_id}"


def draw(day: date) -> str:
    """The message on which a day's lot was drawn."""
    return f"draw:{day}"


def gift(gift_id: UUID) -> str:
    """The message that confirmed a gift and then shows its link."""
    return f"gift:{gift_id}"


def promo(code: str) -> str:
    """The answer to one promo code."""
    return f"promo:{code}"


def payment(payment_id: PaymentId) -> str:
    """The message that follows a payment: how to pay, being prepared, its end."""
    return f"payment:{payment_id}"


def invoice(payment_id: PaymentId) -> str:
    """The Stars invoice of a payment."""
    return f"invoice:{payment_id}"
