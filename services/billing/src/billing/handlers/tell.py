"""The events about outside money, each from the row it describes, and their figures."""

from __future__ import annotations

from typing import Any

from billing.domain.accounts import Account
from billing.domain.charges import Charge
from billing.domain.errors import SameIdOtherBodyError
from billing.domain.invoice_payload import Seal
from billing.domain.payments import Payment
from billing.handlers import announce
from billing.ports.payments import Subscription, Till
from chassis import logs, metrics
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.billing import SetTier
from contracts.errors import RefusalError
from contracts.money import Credits
from contracts.payments import (
    ChargeRefunded,
    PaymentCreated,
    PaymentCredited,
    PaymentFailed,
    PaymentHeld,
    ProviderAlarmed,
    RefundRefused,
    SubscriptionChanged,
)

log = logs.get("billing.payments")
payments_count = metrics.counter("vitrine.billing.payments", description="by provider and outcome")


def created(uow: UnitOfWork, payment: Payment, seal: Seal | None = None) -> None:
    event = PaymentCreated(
        payment_id=payment.payment_id,
        user_id=payment.user_id,
        provider=payment.provider,
        product=payment.product,
        product_id=payment.product_id,
        credits=payment.all_credits,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        pay_url=payment.pay_url,
        invoice_payload=seal.sign(payment) if seal is not None else "",
        subscription_days=payment.subscription_days,
        expires_at=payment.expires_at,
        order_id=payment.order_id,
    )
    _emit(uow, event, payment.provider, "created", payment.traceparent)


def failed(uow: UnitOfWork, payment: Payment, code: str) -> None:
    event = PaymentFailed(
        payment_id=payment.payment_id,
        user_id=payment.user_id,
        provider=payment.provider,
        code=code,
        order_id=payment.order_id,
    )
    _emit(uow, event, payment.provider, code, payment.traceparent)


async def not_created(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    """create_payment was refused: the person is told, as with any payment that failed."""
    if isinstance(error, SameIdOtherBodyError):
        announce.rejected(uow, each, error)
        return
    command = each.message
    event = PaymentFailed(
        payment_id=command.payment_id,
        user_id=command.user_id,
        provider=command.provider,
        code=error.code,
        order_id=command.order_id,
    )
    _emit(uow, event, command.provider, error.code, each.traceparent)


def credited(
    uow: UnitOfWork,
    charge: Charge,
    payment: Payment,
    account: Account,
    debt_paid: Credits,
    *,
    available: Credits | None = None,
) -> None:
    """`available`: right after this charge, where others of its owner were credited since."""
    given = charge.extended
    higher = account.tier if given is not None and account.tier != charge.tier else ""
    event = PaymentCredited(
        payment_id=payment.payment_id,
        charge_id=charge.charge_id,
        user_id=charge.user_id,
        provider=charge.provider,
        product=payment.product,
        product_id=payment.product_id,
        credits=charge.credits,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        available_credits=account.available if available is None else available,
        debt_paid_credits=debt_paid,
        late=charge.late,
        recurring=charge.recurring,
        tier=charge.tier,
        until=charge.tier_until,
        order_id=payment.order_id,
        added_to=higher,
        added_days=(given.until - given.since).days if given is not None and higher else 0,
    )
    _emit(uow, event, charge.provider, "late" if charge.late else "credited", charge.traceparent)


def held(uow: UnitOfWork, charge: Charge) -> None:
    event = PaymentHeld(
        charge_id=charge.charge_id,
        user_id=charge.user_id,
        provider=charge.provider,
        code=charge.reason,
        amount_minor=charge.amount_minor,
        currency=charge.currency,
        payment_id=charge.payment_id,
    )
    _emit(uow, event, charge.provider, f"held_{charge.reason}", charge.traceparent)


def refunded(uow: UnitOfWork, charge: Charge, amount_minor: int, *, charged_back: bool) -> None:
    """So much went back now; the credits are those taken for it."""
    event = ChargeRefunded(
        charge_id=charge.charge_id,
        user_id=charge.user_id,
        provider=charge.provider,
        amount_minor=amount_minor,
        currency=charge.currency,
        taken_credits=charge.taken_now,
        debt_credits=Credits(charge.debt_credits - charge.kept_debt),
        charged_back=charged_back,
        left_minor=charge.left_minor,
    )
    outcome = "charged_back" if charged_back else "refunded"
    _emit(uow, event, charge.provider, outcome, charge.traceparent)


def refund_refused(uow: UnitOfWork, charge: Charge, code: str) -> None:
    event = RefundRefused(
        charge_id=charge.charge_id, user_id=charge.user_id, provider=charge.provider, code=code
    )
    _emit(uow, event, charge.provider, "refund_refused", charge.traceparent)


def alarmed(uow: UnitOfWork, provider: str, code: str, detail: str = "") -> None:
    uow.emit(ProviderAlarmed(provider=provider, code=code, detail=detail))
    log.error("provider_alarmed", provider=provider, code=code, detail=detail)


def subscription(uow: UnitOfWork, changed: Subscription, *, by_payment: bool = False) -> None:
    event = SubscriptionChanged(
        user_id=changed.user_id,
        charge_id=changed.charge_id,
        plan_id=changed.plan_id,
        state=changed.state,
        until=changed.until,
        by_payment=by_payment,
    )
    uow.emit(event, aggregate=f"subscription:{changed.charge_id}", version=changed.version)


def renewals_word(charge_id: str) -> str:
    """What is said about whether a subscription renews itself, by the charge that began it."""
    return f"subscription:{charge_id}:edited"


async def tier(
    uow: UnitOfWork,
    till: Till,
    account: Account,
    before: int,
    *,
    reason: str,
    actor: str,
    cause: str = "",
) -> None:
    """Record and announce a tier that is not at version `before` any more."""
    if account.tier_version == before:
        return
    command = SetTier(
        user_id=account.user_id,
        tier=account.tier,
        until=account.tier_until,
        reason=reason,
        actor=actor,
    )
    await uow.is_last_word(announce.tier_word(account.user_id))  # an older set_tier comes too late
    await till.books.accounts.save_tier(uow.connection, account, command, uow.now)
    await till.books.tier_steps.save(uow.connection, account)
    until, version = account.tier_until, account.tier_version
    announce.tier_set(uow, command, until, version, uow.traceparent, cause=cause)


def _emit(uow: UnitOfWork, event: Any, provider: str, outcome: str, traceparent: str) -> None:
    uow.emit(event, traceparent=traceparent or None)
    payments_count.add(1, {"provider": provider, "outcome": outcome})
    log.info("payment_told", provider=provider, outcome=outcome, told=type(event).__name__)
