"""adjust_credits: add or take credits by hand; above a limit two people must agree."""

from __future__ import annotations

from typing import Any

from billing.domain.errors import (
    AlreadyApprovedError,
    InvalidError,
    NoAccountError,
    SameIdOtherBodyError,
)
from billing.domain.ledger import Ledger
from billing.handlers import operator_action, second_person
from billing.ports.payments import Till
from billing.ports.records import Adjustment
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.operators import AdjustCredits, CreditsAdjusted

ACTION = "adjust_credits"


async def adjust_credits(command: AdjustCredits, uow: UnitOfWork, *, till: Till) -> None:
    connection = uow.connection
    known = await till.records.adjustment(connection, command.adjustment_id)
    if known is not None:
        if _facts(known) != _facts(command):
            raise SameIdOtherBodyError
        if known.approved_by or command.approved_by:
            raise AlreadyApprovedError
        return
    if not command.reason.strip() or not command.actor:
        raise InvalidError("an adjustment has a reason and somebody who makes it")
    await second_person.check(
        command,
        uow,
        till,
        action=ACTION,
        subject_id=str(command.adjustment_id),
        amount=command.credits,
    )
    accounts = await till.books.accounts.load(connection, [command.user_id])
    account = accounts.get(command.user_id)
    if account is None:
        raise NoAccountError
    ledger = Ledger(uow.now)
    debt = ledger.adjust(account, command.credits, command.reason)
    await till.books.accounts.save(connection, ledger)
    adjustment = Adjustment(
        command.adjustment_id,
        command.user_id,
        command.credits,
        command.reason,
        command.actor,
        command.approved_by,
        debt,
    )
    await till.records.add_adjustment(connection, adjustment, uow.now)
    event = CreditsAdjusted(
        adjustment_id=command.adjustment_id,
        user_id=command.user_id,
        credits=command.credits,
        debt_credits=debt,
        reason=command.reason,
        actor=command.actor,
    )
    uow.emit(event)
    await operator_action.done(uow, till, ACTION, command, str(command.adjustment_id))


def _facts(each: Adjustment | AdjustCredits) -> tuple[object, ...]:
    return each.user_id, each.credits, each.reason, each.actor


async def not_adjusted(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    subject_id = str(each.message.adjustment_id)
    await operator_action.refused(uow, till, ACTION, each, subject_id, error)
