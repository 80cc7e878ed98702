"""What a refund or a charge-back takes back, and what a refused refund gives again."""

from __future__ import annotations

from billing.domain import charges
from billing.domain.charges import Charge
from billing.domain.ledger import Ledger
from billing.handlers import tell
from billing.ports.payments import Till
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.gateway import EditStarsSubscription

REASON = "refund"
REFUSED = "refund_refused"


async def take(uow: UnitOfWork, till: Till, charge: Charge) -> None:
    """Take what the charge bought; a subscription is not to renew what was given back."""
    for hook in till.before_taking_back:
        await hook(uow, charge)
    found = await till.books.accounts.load(uow.connection, [charge.user_id], charge.lots)
    account = found.get(charge.user_id)
    if account is None:
        return
    ledger = Ledger(uow.now)
    before = account.tier_version
    if charge.tier:
        account.steps = await till.books.tier_steps.load(uow.connection, account.user_id)
    charges.take(charge, account, ledger)
    await till.books.accounts.save(uow.connection, ledger)
    # Also where the tier stays as it was: what was withdrawn counts no more later on.
    await till.books.tier_steps.save(uow.connection, account)
    await tell.tier(uow, till, account, before, reason=REASON, actor=charge.actor)
    if charge.tier and charge.payment_id is not None:
        running = await till.charges.subscription(uow.connection, payment_id=charge.payment_id)
        if running is not None and running.state == "active" and running.until > uow.now:
            command = EditStarsSubscription(
                user_id=running.user_id, charge_id=running.charge_id, cancelled=True
            )
            uow.emit(command)
    if charge.left_minor:
        return  # what a charge earned others is theirs while any of it is ours
    for hook in till.on_taken_back:
        await hook(uow, charge)


async def give_again(uow: UnitOfWork, till: Till, charge: Charge, code: str) -> None:
    """The provider refused: the money stays, so what it bought does too."""
    found = await till.books.accounts.load(uow.connection, [charge.user_id], charge.lots)
    account = found.get(charge.user_id)
    ledger = Ledger(uow.now)
    before = account.tier_version if account is not None else 0
    charges.give_again(charge, account, ledger)
    await till.books.accounts.save(uow.connection, ledger)
    if account is not None:
        await tell.tier(uow, till, account, before, reason="refund_refused", actor=charge.provider)
    charges.settle(charge, charges.resting_state(charge), uow.now)
    await till.charges.save(uow.connection, charge)
    # The charge is as it was before: that it was refused, and why, is kept here alone.
    await till.records.note_action(
        uow.connection,
        actor=charge.provider,
        action=REFUSED,
        subject_id=charge.charge_id,
        detail={"code": code},
        outcome=code,
        now=uow.now,
    )
    tell.refund_refused(uow, charge, code)


async def answered(uow: UnitOfWork, till: Till, charge: Charge) -> None:
    """The refund we asked for, of all or of a part, is on its way back."""
    amount = charges.went_back(charge, uow.now, charged_back=False)
    await till.charges.save(uow.connection, charge)
    tell.refunded(uow, charge, amount, charged_back=False)


async def unasked(uow: UnitOfWork, till: Till, charge: Charge, *, charged_back: bool) -> None:
    """The money went back, as we asked or without: both end the same way, once.

    What we did not ask for is a charge-back, whatever the provider calls it.
    """
    if charge.state in charges.GIVEN_BACK:
        return
    if charge.state == charges.REFUNDING and charge.left_minor:
        await answered(uow, till, charge)  # of a part; the rest follows
    charged_back = charged_back or charge.state != charges.REFUNDING
    if charge.state != charges.REFUNDING:
        held = charge.state != charges.PAID
        charges.set_apart(charge, charge.left_minor)
        if not held:
            await take(uow, till, charge)
    amount = charges.went_back(charge, uow.now, charged_back=charged_back)
    await till.charges.save(uow.connection, charge)
    tell.refunded(uow, charge, amount, charged_back=charged_back)
    if charged_back:
        figures = f"{charge.taken_credits} credits taken back, {charge.debt_credits} of them owed"
        tell.alarmed(uow, charge.provider, errors.CHARGED_BACK, f"{charge.charge_id}: {figures}")


async def partly(uow: UnitOfWork, till: Till, charge: Charge, gone_minor: int) -> bool:
    """The provider says how much of it is gone by now. False: there is nothing to make of that."""
    if charge.state == charges.REFUNDING:
        if gone_minor != charge.refunded_minor + charge.refunding_minor:
            return False  # its own answer is under way, and what was done by hand is told again
        await answered(uow, till, charge)
        return True
    part = gone_minor - charge.refunded_minor
    if charge.state != charges.PAID or charge.tier or not 0 < part < charge.left_minor:
        return False
    charges.set_apart(charge, part)
    await take(uow, till, charge)
    charges.went_back(charge, uow.now, charged_back=False)
    await till.charges.save(uow.connection, charge)
    tell.refunded(uow, charge, part, charged_back=False)
    return True
