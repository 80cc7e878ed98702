"""Money that came: credited once per charge, or held for a person where it does not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from billing.domain import charges, payments, plans
from billing.domain.accounts import Account, has_room
from billing.domain.charges import Charge, Paid
from billing.domain.errors import InvalidError, PaymentRefusedError
from billing.domain.ledger import Ledger
from billing.domain.payments import Payment
from billing.handlers import take_back, tell
from billing.ports import Grant
from billing.ports.payments import EVENT_REFUNDED, Subscription, Till
from chassis import logs
from chassis.clock import id_floor
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.billing import LOT_BONUS, LOT_PAID, TIER_BY_PURCHASE
from contracts.errors import RefusalError
from contracts.ids import PaymentId, UserId
from contracts.money import NO_CREDITS, Credits
from contracts.payments import PRODUCT_PACK, STARS

log = logs.get("billing.payments")
CREDITED = "credited"
HELD = "held"
KNOWN = "known"
ACTIVE = "active"
REASON = "payment"
REASON_BONUS = "payment_bonus"

Report = tuple[Paid, str]
"""Money that came, and the trace of the message that said so."""


@dataclass(slots=True)
class Given:
    """What a charge bought, until it is recorded."""

    account: Account
    ledger: Ledger
    tier_version: int
    grants: list[tuple[Grant, int, str]]
    debt_paid: Credits = NO_CREDITS
    available: Credits = NO_CREDITS
    """What the account had right after it."""


@dataclass(slots=True)
class Decided:
    """A charge and what was decided about it."""

    paid: Paid
    charge: Charge
    bought: tuple[Payment, Given] | None = None
    """None: a person has to look at it."""


Credited = tuple[Paid, Charge, Payment, Given]


@dataclass(slots=True)
class Sitting:
    """Everything that charges decided at one sitting work on, under their owners' locks."""

    ledger: Ledger
    known: set[str]
    payments: dict[PaymentId, Payment]
    bought: Counter[PaymentId]
    """How many charges were credited for each invoice."""
    accounts: dict[UserId, Account]
    decided: list[Decided]


async def record_paid(uow: UnitOfWork, till: Till, paid: Paid) -> str:
    """Credit a charge, or hold it for review. The payment's owner is locked before.

    Returns CREDITED, HELD, or KNOWN: it was recorded before, whatever way told us.
    """
    (outcome,) = await record_all(uow, till, [(paid, uow.traceparent)])
    return outcome


async def record_all(uow: UnitOfWork, till: Till, reports: Sequence[Report]) -> list[str]:
    """Do the same with many charges of one provider, each seeing what those before it left.

    What bought packs is decided at one sitting. Who is served charge by charge: a person with a
    plan among theirs, for every change of a tier is recorded and told by itself; and one with a
    charge that went back already, for what it bought is to be taken before the next is credited.
    """
    if not reports:
        return []
    connection, provider = uow.connection, reports[0][0].provider
    ids = [paid.payment_id for paid, _ in reports if paid.payment_id is not None]
    found = await till.payments.find_all(connection, ids) if ids else {}
    # The news of a refund may have overtaken that of its payment.
    keys = {f"{EVENT_REFUNDED}:{paid.charge_id}": paid.charge_id for paid, _ in reports}
    told = await till.payments.told(connection, provider, list(keys))
    gone = {charge_id for key, charge_id in keys.items() if key in told}
    owners = [_owner(paid, found) for paid, _ in reports]
    apart = {
        owner
        for owner, (paid, _) in zip(owners, reports, strict=True)
        if paid.charge_id in gone
        or (paid.payment_id in found and found[paid.payment_id].product != PRODUCT_PACK)
    }
    sittings = [[at for at, owner in enumerate(owners) if owner not in apart]]
    sittings += [[at] for at, owner in enumerate(owners) if owner in apart]
    outcomes = [""] * len(reports)
    for places in filter(None, sittings):
        if len(places) == 1:
            uow.traceparent = reports[places[0]][1]
        made = await _record(uow, till, [reports[at] for at in places], found, gone)
        for at, outcome in zip(places, made, strict=True):
            outcomes[at] = outcome
    return outcomes


def _owner(paid: Paid, found: Mapping[PaymentId, Payment]) -> UserId:
    payment = found.get(paid.payment_id) if paid.payment_id is not None else None
    return charges.charge_of(paid, payment).user_id


async def _record(
    uow: UnitOfWork,
    till: Till,
    reports: Sequence[Report],
    found: dict[PaymentId, Payment],
    gone: set[str],
) -> list[str]:
    connection = uow.connection
    provider = reports[0][0].provider
    known = await till.charges.known(connection, provider, [paid.charge_id for paid, _ in reports])
    fresh = [paid for paid, _ in reports if paid.charge_id not in known]
    ids = [paid.payment_id for paid in fresh if paid.payment_id in found]
    owners = {_owner(paid, found) for paid in fresh if paid.payment_id in found}
    sitting = Sitting(
        Ledger(uow.now),
        known,
        found,
        Counter(await till.charges.counts(connection, ids) if ids else {}),
        await till.books.accounts.load(connection, sorted(owners), spendable=False)
        if owners
        else {},
        [],
    )
    outcomes = [await _decide(uow, till, sitting, report) for report in reports]
    added = await _write(uow, till, sitting, provider)
    for each in sitting.decided:
        if each.charge.charge_id in added & gone:
            await take_back.unasked(uow, till, each.charge, charged_back=False)
    return [
        KNOWN if outcome == HELD and paid.charge_id not in added else outcome
        for outcome, (paid, _) in zip(outcomes, reports, strict=True)
    ]


async def _decide(uow: UnitOfWork, till: Till, sitting: Sitting, report: Report) -> str:
    paid, traceparent = report
    if paid.charge_id in sitting.known:
        return KNOWN
    sitting.known.add(paid.charge_id)
    payment = sitting.payments.get(paid.payment_id) if paid.payment_id is not None else None
    before = sitting.bought[payment.payment_id] if payment is not None else 0
    charge = charges.charge_of(paid, payment)
    charge.traceparent = (payment.traceparent if payment is not None else "") or traceparent
    charge.reason = charges.mismatch(payment, paid, charges_before=before)
    decided = Decided(paid, charge)
    sitting.decided.append(decided)
    if payment is None or charge.reason:
        return HELD
    try:
        given = await _give(uow, till, sitting, decided, payment)
    except RefusalError as error:
        charges.forget_given(charge)
        charge.reason = error.code
        return HELD
    decided.bought = payment, given
    sitting.bought[payment.payment_id] += 1
    charge.state = charges.PAID
    charge.late = payments.mark_paid(payment)
    given.available = given.account.available
    return CREDITED


async def _give(
    uow: UnitOfWork, till: Till, sitting: Sitting, decided: Decided, payment: Payment
) -> Given:
    """Give what the payment is for, in memory. Raises RefusalError, having given nothing."""
    charge = decided.charge
    account = sitting.accounts.get(charge.user_id)
    if account is None:
        raise PaymentRefusedError(code=errors.NO_ACCOUNT)
    given = Given(account, sitting.ledger, account.tier_version, [])
    if payment.product == PRODUCT_PACK:
        give_credits(given, charge, payment.credits, payment.bonus_credits)
        return given
    plan = till.offers.plans.get(payment.product_id)
    if plan is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PRODUCT)
    days, until = timedelta(days=plan.days), decided.paid.subscription_until
    extended = plans.extend(account, plan.tier, days, uow.now, at_least=until)
    charge.tier = plan.tier
    charge.tier_from, charge.tier_until = extended.since, extended.until
    charge.tier_replaced = extended.replaced
    # Whoever has paid once needs no trial any more.
    account.trial_renews_at = None
    given.ledger.accounts[account.user_id] = account
    return given


async def open_given(uow: UnitOfWork, till: Till, charge: Charge) -> Given:
    """Raises PaymentRefusedError: nobody has an account to give it to."""
    found = await till.books.accounts.load(uow.connection, [charge.user_id])
    account = found.get(charge.user_id)
    if account is None:
        raise PaymentRefusedError(code=errors.NO_ACCOUNT)
    return Given(account, Ledger(uow.now), account.tier_version, [])


def give_credits(given: Given, charge: Charge, paid: Credits, bonus: Credits) -> None:
    """Raises InvalidError outside the limits, having given nothing."""
    if not has_room(given.account, Credits(paid + bonus)):
        raise InvalidError("the amount is outside the limits")
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
    await _tell_tier(uow, till, given, reason=reason, actor=actor)


async def _tell_tier(uow: UnitOfWork, till: Till, given: Given, *, reason: str, actor: str) -> None:
    before = given.tier_version
    await tell.tier(
        uow, till, given.account, before, reason=reason, actor=actor, cause=TIER_BY_PURCHASE
    )


async def _write(uow: UnitOfWork, till: Till, sitting: Sitting, provider: str) -> set[str]:
    """Record what was decided, a statement for each table, and tell who is to know.

    Returns the charges that nobody had recorded meanwhile: what is held needs no lock.
    """
    connection = uow.connection
    added = await till.charges.add(connection, [each.charge for each in sitting.decided])
    credited = [(each.paid, each.charge, *each.bought) for each in sitting.decided if each.bought]
    if not added.issuperset(charge.charge_id for _, charge, _, _ in credited):
        raise AssertionError("a charge was credited elsewhere, without the account's lock")
    for each in sitting.decided:
        if each.bought is None and each.charge.charge_id in added:
            tell.held(uow, each.charge)
            log.warning("payment_held", provider=provider, code=each.charge.reason)
    if credited:
        await _write_credited(uow, till, sitting.ledger, credited, provider)
    return added


async def _write_credited(
    uow: UnitOfWork, till: Till, ledger: Ledger, credited: Sequence[Credited], provider: str
) -> None:
    connection = uow.connection
    await till.books.accounts.save(connection, ledger)
    grants = [grant for *_, given in credited for grant in given.grants]
    await till.books.grants.add(connection, grants, uow.now)
    paid_for = {payment.payment_id: payment for _, _, payment, _ in credited}
    await till.payments.save(connection, *paid_for.values())
    for paid, charge, payment, given in credited:
        await _tell_tier(uow, till, given, reason=f"{REASON}:{provider}", actor=provider)
        if payment.subscription_days:
            await _keep_subscription(uow, till, charge, payment, paid)
        left = given.available
        tell.credited(uow, charge, payment, given.account, given.debt_paid, available=left)
    for hook in till.on_credited:
        await hook(uow, *(charge for _, charge, _, _ in credited))


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
        # Paid before it was stopped, it says nothing of that: a statement may tell it hours later.
        if await uow.is_last_word(tell.renewals_word(known.charge_id), id_floor(paid.at)):
            known.state = ACTIVE
        known.version += 1
    await till.charges.save_subscription(uow.connection, known)
    tell.subscription(uow, known, by_payment=True)
