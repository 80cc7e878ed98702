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
    credited = charge.lot is not None or bool(charge.tier)
    charges.settle(charge, charges.PAID if credited else charges.REVIEW, uow.now)
    await till.charges.save(uow.connection, charge)
    tell.refund_refused(uow, charge, code)


async def unasked(uow: UnitOfWork, till: Till, charge: Charge, *, charged_back: bool) -> None:
    """The money went back, as we asked or without: both end the same way, once.

    What we did not ask for is a charge-back, whatever the provider calls it.
    """
    if charge.state in charges.GIVEN_BACK:
        return
    charged_back = charged_back or charge.state != charges.REFUNDING
    if charge.state == charges.PAID:
        await take(uow, till, charge)
    state = charges.CHARGED_BACK if charged_back else charges.REFUNDED
    charges.settle(charge, state, uow.now)
    await till.charges.save(uow.connection, charge)
    tell.refunded(uow, charge, charged_back=charged_back)
    if charged_back:
        figures = f"{charge.taken_credits} credits taken back, {charge.debt_credits} of them owed"
        tell.alarmed(uow, charge.provider, errors.CHARGED_BACK, f"{charge.charge_id}: {figures}")
