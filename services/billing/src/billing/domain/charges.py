"""Charges: money that came. Whether it matches its invoice, and what a refund takes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.domain import plans
from billing.domain.accounts import AVAILABLE, KIND_REVOKE, Account
from billing.domain.errors import PaymentRefusedError
from billing.domain.ledger import Ledger
from billing.domain.payments import Payment
from billing.domain.plans import Extended
from contracts import errors
from contracts.ids import NOBODY, PaymentId, UserId
from contracts.money import NO_CREDITS, Credits

REVIEW = "review"
PAID = "paid"
REFUNDING = "refunding"
REFUNDED = "refunded"
CHARGED_BACK = "charged_back"
REJECTED = "rejected"
GIVEN_BACK = frozenset({REFUNDED, CHARGED_BACK})
CHARGE_ID_MAX = 200


@dataclass(frozen=True, slots=True)
class Paid:
    """Money as a provider reports it, whatever way the report came."""

    provider: str
    charge_id: str
    amount_minor: int
    currency: str
    at: datetime
    payment_id: PaymentId | None = None
    user_id: UserId = NOBODY
    """Who paid, where the provider says so."""
    recurring: bool = False
    first_recurring: bool = False
    subscription_until: datetime | None = None


@dataclass(slots=True)
class Charge:
    """One charge. `lot`, `bonus_lot`, `tier_*`: what it bought; `taken`: what a refund took."""

    provider: str
    charge_id: str
    payment_id: PaymentId | None
    user_id: UserId
    product_id: str
    amount_minor: int
    currency: str
    paid_at: datetime
    state: str
    version: int = 1
    reason: str = ""
    actor: str = ""
    credits: Credits = NO_CREDITS
    """All of them; `bonus_credits` are among them."""
    bonus_credits: Credits = NO_CREDITS
    lot: int | None = None
    bonus_lot: int | None = None
    tier: str = ""
    tier_from: datetime | None = None
    tier_until: datetime | None = None
    tier_replaced: str = ""
    taken: tuple[tuple[int, Credits], ...] = ()
    """[lot, credits] pairs."""
    debt_credits: Credits = NO_CREDITS
    taken_seconds: int = 0
    late: bool = False
    recurring: bool = False
    settled_at: datetime | None = None
    traceparent: str = ""
    refunded_minor: int = 0
    refunding_minor: int = 0
    """Of the refund that is under way."""
    kept_parts: int = 0
    kept_debt: Credits = NO_CREDITS
    """What was taken before that one: so many of `taken`, and of the debt."""

    @property
    def left_minor(self) -> int:
        """What is still ours, and not on its way back."""
        return self.amount_minor - self.refunded_minor - self.refunding_minor

    @property
    def taken_now(self) -> Credits:
        """What the refund that is under way took, or the last one."""
        parts = sum(amount for _, amount in self.taken[self.kept_parts :])
        return Credits(parts + self.debt_credits - self.kept_debt)

    @property
    def lots(self) -> tuple[int, ...]:
        """The lots it opened, and those a refund took from."""
        own = tuple(number for number in (self.lot, self.bonus_lot) if number is not None)
        return (*own, *(number for number, _ in self.taken))

    @property
    def taken_credits(self) -> Credits:
        return Credits(sum(amount for _, amount in self.taken) + self.debt_credits)

    @property
    def extended(self) -> Extended | None:
        if self.tier_from is None or self.tier_until is None:
            return None
        return Extended(self.tier_from, self.tier_until, self.tier_replaced)


def mismatch(payment: Payment | None, paid: Paid, *, charges_before: int) -> str:
    """Why a person must look at it before anything is credited; empty: it matches."""
    if payment is None or payment.provider != paid.provider:
        return errors.UNKNOWN_PAYMENT
    if paid.user_id not in (NOBODY, payment.user_id):
        return errors.NOT_YOURS
    if paid.currency != payment.currency:
        return errors.WRONG_CURRENCY
    if paid.amount_minor != payment.amount_minor:
        return errors.WRONG_AMOUNT
    if charges_before and not payment.subscription_days:
        return errors.ALREADY_PAID
    return ""


def charge_of(paid: Paid, payment: Payment | None) -> Charge:
    """The record of money that came, before anything is given for it."""
    owner = paid.user_id
    if owner == NOBODY and payment is not None:
        owner = payment.user_id
    return Charge(
        paid.provider,
        paid.charge_id,
        payment.payment_id if payment is not None else None,
        owner,
        payment.product_id if payment is not None else "",
        paid.amount_minor,
        paid.currency,
        paid.at,
        REVIEW,
        recurring=paid.recurring and not paid.first_recurring,
    )


def forget_given(charge: Charge) -> None:
    """What was to be given for it cannot be given after all: it bought nothing."""
    charge.credits = charge.bonus_credits = NO_CREDITS
    charge.lot = charge.bonus_lot = None


def lose_sight(charge: Charge) -> None:
    """The provider could not be asked how its refund ended."""
    charge.reason = errors.PROVIDER_FAILED
    charge.version += 1


def is_unclear(charge: Charge) -> bool:
    """Whether a refund began whose end nobody waits for any more."""
    return charge.state == REFUNDING and charge.reason == errors.PROVIDER_FAILED


def begin_refund(
    charge: Charge, *, reason: str, actor: str, amount_minor: int | None = None
) -> None:
    """Give it back, or a part of it. Raises PaymentRefusedError unless that can be done."""
    if charge.state in GIVEN_BACK:
        raise PaymentRefusedError(code=errors.ALREADY_REFUNDED)
    if charge.state not in {PAID, REVIEW, REJECTED} and not is_unclear(charge):
        raise PaymentRefusedError(code=errors.INVALID)
    if is_unclear(charge):
        if amount_minor not in (None, charge.refunding_minor):
            raise PaymentRefusedError(code=errors.INVALID)
    else:
        set_apart(charge, charge.left_minor if amount_minor is None else amount_minor)
    charge.state = REFUNDING
    charge.reason = reason
    charge.actor = actor
    charge.version += 1


def set_apart(charge: Charge, amount_minor: int) -> None:
    """So much of it goes back now. Raises PaymentRefusedError where there is not so much left."""
    if not 1 <= amount_minor <= charge.left_minor:
        raise PaymentRefusedError(code=errors.WRONG_AMOUNT)
    if amount_minor < charge.left_minor and (charge.tier or charge.lot is None):
        # A part of a plan's days is no plan, and of what was not credited nobody knows a part.
        raise PaymentRefusedError(code=errors.UNSUPPORTED)
    charge.refunding_minor = amount_minor
    charge.kept_parts = len(charge.taken)
    charge.kept_debt = charge.debt_credits


def share(credits_: int, part_minor: int, whole_minor: int) -> int:
    """The credits that a part of a charge bought, rounded to a whole one, halves up."""
    return (2 * credits_ * part_minor + whole_minor) // (2 * whole_minor)


def take(charge: Charge, account: Account | None, ledger: Ledger) -> None:
    """Take back what the charge bought; what is spent already becomes debt."""
    if account is None:
        return
    before = len(ledger.transfers)
    debt = 0
    bonus = charge.bonus_credits
    gone, whole = charge.refunded_minor, charge.amount_minor
    for number, bought in ((charge.lot, charge.credits - bonus), (charge.bonus_lot, bonus)):
        part = share(bought, gone + charge.refunding_minor, whole) - share(bought, gone, whole)
        if number is not None and part:
            debt += ledger.revoke(account, number, Credits(part), "refund")
    charge.taken += tuple(
        (transfer.lot, transfer.amount)
        for transfer in ledger.transfers[before:]
        if transfer.kind == KIND_REVOKE and transfer.debit == AVAILABLE
    )
    charge.debt_credits = Credits(charge.debt_credits + debt)
    given = charge.extended
    if given is not None:
        tier = account.tier
        taken = plans.take_back(account, given, ledger.now)
        # Kept as days of the plan that was bought: given again, they are converted again.
        charge.taken_seconds = int(plans.converted(taken, tier, charge.tier).total_seconds())


def give_again(charge: Charge, account: Account | None, ledger: Ledger) -> None:
    """The money stayed with us: what was taken for its refund is given back, to the credit."""
    if account is not None:
        if charge.lot is not None:
            taken = charge.taken[charge.kept_parts :]
            owed = Credits(charge.debt_credits - charge.kept_debt)
            ledger.restore(account, charge.lot, taken, owed, "refund_refused")
        if charge.taken_seconds and not plans.is_for_good(account, ledger.now):
            span = timedelta(seconds=charge.taken_seconds)
            given = plans.extend(account, charge.tier, span, ledger.now)
            charge.tier_from, charge.tier_until = given.since, given.until
            charge.tier_replaced = given.replaced
    charge.taken = charge.taken[: charge.kept_parts]
    charge.debt_credits = charge.kept_debt
    charge.taken_seconds = 0
    charge.refunding_minor = 0


def went_back(charge: Charge, now: datetime, *, charged_back: bool) -> int:
    """What was set apart is no longer ours. Returns how much that was."""
    amount = charge.refunding_minor
    charge.refunded_minor += amount
    charge.refunding_minor = 0
    if charge.left_minor:
        settle(charge, resting_state(charge), now)
    else:
        settle(charge, CHARGED_BACK if charged_back else REFUNDED, now)
    return amount


def resting_state(charge: Charge) -> str:
    """How money stands that is ours: it bought something, or a person has to look at it."""
    return PAID if charge.lot is not None or charge.tier else REVIEW


def settle(charge: Charge, state: str, now: datetime) -> None:
    """Its refund, charge-back or refusal is final."""
    charge.state = state
    charge.settled_at = now
    charge.version += 1
