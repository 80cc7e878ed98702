"""Money that came: credited once per charge, or held for a person where it does not match."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from billing.domain import charges, payments, plans
from billing.domain.accounts import Account
from billing.domain.charges import Charge, Paid
from billing.domain.errors import PaymentRefusedError
from billing.domain.ledger import Ledger
from billing.domain.payments import Payment
from billing.handlers import take_back, tell
from billing.ports import Grant
from billing.ports.payments import EVENT_REFUNDED, Subscription, Till
from chassis import logs
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.billing import LOT_BONUS, LOT_PAID, TIER_BY_PURCHASE
from contracts.errors import RefusalError
from contracts.money import NO_CREDITS, Credits
from contracts.payments import PRODUCT_PACK, STARS

log = logs.get("billing.payments")
CREDITED = "credited"
HELD = "held"
KNOWN = "known"
ACTIVE = "active"
REASON = "payment"
REASON_BONUS = "payment_bonus"


@dataclass(slots=True)
class Given:
    """What a charge bought, until it is recorded."""

    account: Account
    ledger: Ledger
    tier_version: int
    grants: list[tuple[Grant, int, str]]
    debt_paid: Credits = NO_CREDITS


async def record_paid(uow: UnitOfWork, till: Till, paid: Paid) -> str:
    """Credit a charge, or hold it for review. The payment's owner is locked before.

    Returns CREDITED, HELD, or KNOWN: it was recorded before, whatever way told us.
    """
    connection = uow.connection
    if await till.charges.find(connection, paid.provider, paid.charge_id) is not None:
        return KNOWN
    payment = None
    if paid.payment_id is not None:
        payment = await till.payments.find(connection, paid.payment_id)
    before = 0
    if payment is not None:
        before = await till.charges.count_of(connection, payment.payment_id)
    charge = charges.charge_of(paid, payment)
    charge.traceparent = payment.traceparent if payment is not None else uow.traceparent
    charge.reason = charges.mismatch(payment, paid, charges_before=before)
    if payment is None or charge.reason:
        return await _hold(uow, till, charge)
    try:
        given = await give(uow, till, charge, payment, paid)
    except RefusalError as error:
        charges.forget_given(charge)
        charge.reason = error.code
        return await _hold(uow, till, charge)
    charge.state = charges.PAID
    charge.late = payments.mark_paid(payment)
    if not await till.charges.add(connection, charge):
        raise AssertionError("a charge was credited elsewhere, without the account's lock")
    await record(uow, till, given, reason=f"{REASON}:{charge.provider}", actor=charge.provider)
    await till.payments.save(connection, payment)
    if payment.subscription_days:
        await _keep_subscription(uow, till, charge, payment, paid)
    tell.credited(uow, charge, payment, given.account, given.debt_paid)
    for hook in till.on_credited:
        await hook(uow, charge)
    await _take_back_if_told(uow, till, charge)
    return CREDITED


async def give(
    uow: UnitOfWork, till: Till, charge: Charge, payment: Payment, paid: Paid | None = None
) -> Given:
    """Give what the payment is for, in memory. Raises RefusalError where that is impossible."""
    given = await open_given(uow, till, charge)
    if payment.product == PRODUCT_PACK:
        give_credits(given, charge, payment.credits, payment.bonus_credits)
        return given
    plan = till.offers.plans.get(payment.product_id)
    if plan is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PRODUCT)
    until = paid.subscription_until if paid is not None else None
    days = timedelta(days=plan.days)
    extended = plans.extend(given.account, plan.tier, days, uow.now, at_least=until)
    charge.tier = plan.tier
    charge.tier_from, charge.tier_until = extended.since, extended.until
    charge.tier_replaced = extended.replaced
    # Whoever has paid once needs no trial any more.
    given.account.trial_renews_at = None
    given.ledger.accounts[given.account.user_id] = given.account
    return given


async def open_given(uow: UnitOfWork, till: Till, charge: Charge) -> Given:
    """Raises PaymentRefusedError: nobody has an account to give it to."""
    found = await till.books.accounts.load(uow.connection, [charge.user_id])
    account = found.get(charge.user_id)
    if account is None:
        raise PaymentRefusedError(code=errors.NO_ACCOUNT)
    return Given(account, Ledger(uow.now), account.tier_version, [])


def give_credits(given: Given, charge: Charge, paid: Credits, bonus: Credits) -> None:
    """Raises InvalidError outside the limits."""
    key = f"{charge.provider}:{charge.charge_id}"
    actor = charge.actor or charge.provider
    charge.credits = Credits(paid + bonus)
    charge.bonus_credits = bonus
    for kind, amount, reason, prefix in (
        (LOT_PAID, paid, REASON, "credit"),
        (LOT_BONUS, bonus, REASON_BONUS, "bonus"),
    ):
        if not amount:
            continue
        lot, owed = given.ledger.grant(given.account, kind, amount, reason=reason)
        grant = Grant(f"{prefix}:{key}", charge.user_id, kind, amount, None, reason)
        given.grants.append((grant, lot.number, actor))
        given.debt_paid = Credits(given.debt_paid + owed)
        if kind == LOT_PAID:
            charge.lot = lot.number
        else:
            charge.bonus_lot = lot.number


async def record(uow: UnitOfWork, till: Till, given: Given, *, reason: str, actor: str) -> None:
    await till.books.accounts.save(uow.connection, given.ledger)
    await till.books.grants.add(uow.connection, given.grants, uow.now)
    before = given.tier_version
    await tell.tier(
        uow, till, given.account, before, reason=reason, actor=actor, cause=TIER_BY_PURCHASE
    )


async def _hold(uow: UnitOfWork, till: Till, charge: Charge) -> str:
    if not await till.charges.add(uow.connection, charge):
        return KNOWN
    tell.held(uow, charge)
    log.warning("payment_held", provider=charge.provider, code=charge.reason)
    await _take_back_if_told(uow, till, charge)
    return HELD


async def _take_back_if_told(uow: UnitOfWork, till: Till, charge: Charge) -> None:
    """The news of the refund may have overtaken that of the payment."""
    key = f"{EVENT_REFUNDED}:{charge.charge_id}"
    if await till.payments.was_told(uow.connection, charge.provider, key):
        await take_back.unasked(uow, till, charge, charged_back=False)


async def _keep_subscription(
    uow: UnitOfWork, till: Till, charge: Charge, payment: Payment, paid: Paid
) -> None:
    """The first charge of a native subscription names it; the others prolong it."""
    days = timedelta(days=payment.subscription_days)
    until = paid.subscription_until or uow.now + days
    known = None
    if not paid.first_recurring:
        known = await till.charges.subscription(uow.connection, payment_id=payment.payment_id)
    if known is None:
        assert payment.provider == STARS
        known = Subscription(
            charge.charge_id,
            charge.user_id,
            payment.product_id,
            payment.payment_id,
            ACTIVE,
            until,
        )
    else:
        known.until = max(known.until, until)
        known.state = ACTIVE
        known.version += 1
    await till.charges.save_subscription(uow.connection, known)
    tell.subscription(uow, known, by_payment=True)
