"""What every command must meet before a batch handler sees it; what does not is answered here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from billing.domain import moments
from billing.handlers import operator_action, second_person
from billing.ports.payments import Till
from chassis import logs
from chassis.consumers import BatchHandler, Received
from chassis.outbox import UnitOfWork
from contracts.billing import CommandRejected, GrantCredits
from contracts.errors import RefusalError
from contracts.ids import NOBODY

log = logs.get("billing.commands")
GRANT = "grant_credits"


def checked(handler: BatchHandler, till: Till) -> BatchHandler:
    """The same handler, given only commands whose moments have a zone, and grants agreed to."""

    async def batch(received: Sequence[Received[Any]], uow: UnitOfWork) -> None:
        passed = []
        for each in received:
            try:
                moments.check(each.message)
            except RefusalError as error:
                rejected(uow, each, error)
                continue
            if isinstance(each.message, GrantCredits) and not await _agreed(each, uow, till):
                continue
            passed.append(each)
        if passed:
            await handler(passed, uow)

    return batch


async def _agreed(each: Received[Any], uow: UnitOfWork, till: Till) -> bool:
    command: GrantCredits = each.message
    small = not command.approved_by and command.credits <= till.terms.adjust_alone_max
    if small:
        return True
    key = command.grant_key
    try:
        await second_person.check(
            command, uow, till, action=GRANT, subject_id=key, amount=command.credits
        )
    except RefusalError as error:
        await operator_action.refused(uow, till, GRANT, each, key, error)
        return False
    await operator_action.agreed(uow, till, GRANT, command, key)
    return True


def rejected(uow: UnitOfWork, each: Received[Any], error: RefusalError) -> None:
    """Say so to whoever sent it, whatever kind of command it is."""
    message = each.message
    order_id = getattr(message, "order_id", None)
    event = CommandRejected(
        command_subject=message.subject,
        command_id=each.headers.id,
        code=error.code,
        user_id=getattr(message, "user_id", NOBODY),
        order_id=order_id,
    )
    uow.emit(event, order_id=order_id, traceparent=each.traceparent)
    log.info("command_rejected", subject=message.subject, code=error.code, reason=str(error))
