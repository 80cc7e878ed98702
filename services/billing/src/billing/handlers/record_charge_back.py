"""record_charge_back: an operator knows of one by letter; what it bought is taken back."""

from __future__ import annotations

from typing import Any

from billing.domain import charges
from billing.domain.errors import InvalidError, NotYoursError, PaymentRefusedError
from billing.handlers import operator_action, second_person, take_back
from billing.ports.payments import Till
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.errors import RefusalError
from contracts.operators import RecordChargeBack

ACTION = "record_charge_back"


async def record_charge_back(command: RecordChargeBack, uow: UnitOfWork, *, till: Till) -> None:
    charge = await till.charges.find(uow.connection, command.provider, command.charge_id)
    if charge is None:
        raise PaymentRefusedError(code=errors.UNKNOWN_PAYMENT)
    if charge.user_id != command.user_id:
        raise NotYoursError
    if charge.state in charges.GIVEN_BACK:
        raise PaymentRefusedError(code=errors.ALREADY_REFUNDED)
    if not command.reason.strip() or not command.actor:
        raise InvalidError("a charge-back has a reason and somebody who knows of it")
    await second_person.check(
        command,
        uow,
        till,
        action=ACTION,
        subject_id=command.charge_id,
        amount=charge.credits,
    )
    charge.reason, charge.actor = command.reason, command.actor
    await take_back.unasked(uow, till, charge, charged_back=True)
    await operator_action.done(uow, till, ACTION, command, command.charge_id)


async def not_recorded(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    await operator_action.refused(uow, till, ACTION, each, each.message.charge_id, error)
