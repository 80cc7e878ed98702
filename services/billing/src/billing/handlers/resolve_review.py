"""resolve_review: a person decides about money that did not match its invoice."""

from __future__ import annotations

from typing import Any

from billing.domain import charges, payments
from billing.domain.errors import InvalidError, PaymentRefusedError
from billing.handlers import credit, operator_action, second_person, tell
from billing.ports.payments import Till
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.billing import LOT_PAID, CreditsGranted
from contracts.errors import RefusalError
from contracts.ids import NOBODY
from contracts.money import NO_CREDITS
from contracts.operators import ResolveReview, ReviewResolved

ACTION = "resolve_review"


async def resolve_review(command: ResolveReview, uow: UnitOfWork, *, till: Till) -> None:
    connection = uow.connection
    charge = await till.charges.find(connection, command.provider, command.charge_id)
    if charge is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    if charge.state != charges.REVIEW:
        raise PaymentRefusedError(code=errors.ALREADY_FINISHED)
    if command.credits < 0 or not command.actor or not command.reason.strip():
        raise InvalidError("credits are given or not; somebody decides, and says why")
    if charge.user_id not in (NOBODY, command.user_id):
        raise PaymentRefusedError(code=errors.NOT_YOURS)
    await second_person.check(
        command,
        uow,
        till,
        action=ACTION,
        subject_id=command.charge_id,
        amount=command.credits,
    )
    charge.user_id = command.user_id
    charge.actor = command.actor
    charge.reason = command.reason
    if command.credits:
        await _credit(command, uow, till, charge)
    else:
        charges.settle(charge, charges.REJECTED, uow.now)
    await till.charges.save(connection, charge)
    event = ReviewResolved(
        charge_id=charge.charge_id,
        user_id=charge.user_id,
        provider=charge.provider,
        credits=command.credits,
        reason=command.reason,
        actor=command.actor,
    )
    uow.emit(event)
    await operator_action.done(uow, till, ACTION, command, command.charge_id)


async def _credit(
    command: ResolveReview, uow: UnitOfWork, till: Till, charge: charges.Charge
) -> None:
    given = await credit.open_given(uow, till, charge)
    credit.give_credits(given, charge, command.credits, NO_CREDITS)
    charges.settle(charge, charges.PAID, uow.now)
    await credit.record(uow, till, given, reason=ACTION, actor=command.actor)
    payment = None
    if charge.payment_id is not None:
        payment = await till.payments.find(uow.connection, charge.payment_id)
    if payment is not None and payment.user_id == charge.user_id:
        charge.late = payments.mark_paid(payment)
        await till.payments.save(uow.connection, payment)
        tell.credited(uow, charge, payment, given.account, given.debt_paid)
    else:
        event = CreditsGranted(
            user_id=charge.user_id,
            credits=command.credits,
            lot=LOT_PAID,
            reason=credit.REASON,
            debt_paid_credits=given.debt_paid,
            grant_key=given.grants[0][0].key,
        )
        uow.emit(event)
    for hook in till.on_credited:
        await hook(uow, charge)


async def not_resolved(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    await operator_action.refused(uow, till, ACTION, each, each.message.charge_id, error)
