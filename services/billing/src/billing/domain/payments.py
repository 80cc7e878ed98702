"""Payments: an invoice from the wish to pay until money comes or does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain.errors import AlreadyFinishedError, NotYoursError, PaymentRefusedError
from billing.domain.offers import SUBSCRIPTION_DAYS, Offers
from contracts import errors
from contracts.ids import OrderId, PaymentId, UserId
from contracts.money import NO_CREDITS, Credits
from contracts.payments import (
    PRODUCT_PACK,
    PRODUCT_PLAN,
    STARS,
    CreatePayment,
)

CREATED = "created"
PENDING = "pending"
PAID = "paid"
EXPIRED = "expired"
CANCELLED = "cancelled"
FAILED = "failed"
OPEN_STATES = frozenset({CREATED, PENDING})
ENDED_UNPAID = frozenset({EXPIRED, CANCELLED, FAILED})

GIVEN_UP = FAILED, errors.PROVIDER_FAILED
"""No answer said whether its invoice was made."""

WATCHED_AFTER_END = timedelta(hours=24)
"""So long after its end an invoice is still asked about: late money is credited."""
CHECK_FIRST = timedelta(seconds=30)
CHECK_MAX = timedelta(minutes=15)
CHECK_SHARE = 8
"""An invoice is asked about every eighth of its age, within the limits above."""
EXPIRY_MARGIN = timedelta(seconds=5)


@dataclass(slots=True)
class Payment:
    """One invoice; `version` counts what became of it."""

    payment_id: PaymentId
    user_id: UserId
    provider: str
    product: str
    product_id: str
    credits: Credits
    bonus_credits: Credits
    amount_minor: int
    currency: str
    created_at: datetime
    order_id: OrderId | None = None
    state: str = CREATED
    version: int = 1
    provider_ref: str | None = None
    pay_url: str = ""
    reason: str = ""
    expires_at: datetime | None = None
    checked_at: datetime | None = None
    check_due_at: datetime | None = None
    traceparent: str = ""

    @property
    def subscription_days(self) -> int:
        return SUBSCRIPTION_DAYS if self.product == PRODUCT_PLAN and self.provider == STARS else 0

    @property
    def all_credits(self) -> Credits:
        return Credits(self.credits + self.bonus_credits)


def create(command: CreatePayment, offers: Offers, on: frozenset[str], now: datetime) -> Payment:
    """Raises PaymentRefusedError: the product, price or provider is not what is on offer."""
    tender = offers.tenders.get(command.provider)
    if tender is None or command.provider not in on:
        raise PaymentRefusedError(code=errors.PROVIDER_OFF)
    if command.currency != tender.currency:
        raise PaymentRefusedError(code=errors.WRONG_CURRENCY)
    pack = offers.packs.get(command.product_id)
    plan = offers.plans.get(command.product_id)
    if pack is not None:
        price = pack.prices.get(tender.currency, 0)
    else:
        price = plan.stars if plan is not None and command.provider == STARS else 0
    if not price:
        raise PaymentRefusedError(code=errors.UNKNOWN_PRODUCT)
    if price != command.amount_minor:
        raise PaymentRefusedError(code=errors.PRICE_CHANGED)
    return Payment(
        command.payment_id,
        command.user_id,
        command.provider,
        PRODUCT_PACK if pack is not None else PRODUCT_PLAN,
        command.product_id,
        pack.credits if pack is not None else NO_CREDITS,
        pack.bonus_credits if pack is not None else NO_CREDITS,
        price,
        tender.currency,
        now,
        command.order_id,
    )


def is_same(payment: Payment, command: CreatePayment) -> bool:
    """Whether the command asks for the invoice that its id already names."""
    return (
        payment.user_id,
        payment.provider,
        payment.product_id,
        payment.amount_minor,
        payment.currency,
        payment.order_id,
    ) == (
        command.user_id,
        command.provider,
        command.product_id,
        command.amount_minor,
        command.currency,
        command.order_id,
    )


def offer_to_pay(
    payment: Payment, provider_ref: str, pay_url: str, expires_at: datetime | None
) -> bool:
    """The provider knows the invoice. False: it was cancelled meanwhile and stays so."""
    payment.provider_ref = provider_ref
    payment.pay_url = pay_url
    payment.expires_at = expires_at
    payment.version += 1
    if payment.state != CREATED:
        return False
    payment.state = PENDING
    return True


def end_unpaid(payment: Payment, state: str, reason: str) -> bool:
    """Expired, cancelled or failed. False: it had ended before."""
    if payment.state not in OPEN_STATES:
        return False
    payment.state = state
    payment.reason = reason
    payment.version += 1
    return True


def cancel(payment: Payment, user_id: UserId) -> None:
    """Raises NotYoursError or AlreadyFinishedError."""
    if payment.user_id != user_id:
        raise NotYoursError
    if payment.state != CANCELLED and not end_unpaid(payment, CANCELLED, errors.CANCELLED):
        raise AlreadyFinishedError


def mark_paid(payment: Payment) -> bool:
    """Money came for it. Returns whether it came late."""
    late = payment.state in ENDED_UNPAID
    if payment.state != PAID:
        payment.state = PAID
        payment.version += 1
    payment.check_due_at = None
    return late


def next_check(payment: Payment, now: datetime) -> datetime | None:
    """When the provider is to be asked about it again; None: never."""
    if payment.state == PAID or payment.provider == STARS:
        return None
    if payment.provider_ref is None and (payment.state, payment.reason) != GIVEN_UP:
        return None
    end = payment.expires_at or payment.created_at + WATCHED_AFTER_END
    if now >= end + WATCHED_AFTER_END:
        return None
    wait = min(max((now - payment.created_at) / CHECK_SHARE, CHECK_FIRST), CHECK_MAX)
    due = now + wait
    if now < end + EXPIRY_MARGIN < due:
        return end + EXPIRY_MARGIN
    return due
