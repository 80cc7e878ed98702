"""What every command must meet before a batch handler sees it; what does not is answered here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from billing.domain import by_hand, moments, promos
from billing.domain.by_hand import ByHand
from billing.domain.errors import InvalidError
from billing.handlers import operator_action, second_person
from billing.handlers.second_person import Alone
from billing.ports.payments import Till
from chassis import logs
from chassis.consumers import BatchHandler, Received
from chassis.outbox import UnitOfWork
from contracts.billing import CommandRejected, GrantCredits, SetTier
from contracts.errors import RefusalError
from contracts.ids import NOBODY
from contracts.rewards import SavePromo

log = logs.get("billing.commands")
BY_HAND = (GrantCredits, SetTier, SavePromo)
ACTIONS: dict[type[Any], str] = {
    GrantCredits: "grant_credits",
    SetTier: "set_tier",
    SavePromo: "save_promo",
}


def checked(handler: BatchHandler, till: Till) -> BatchHandler:
    """The same handler, given only commands whose moments have a zone, and gifts agreed to."""

    async def batch(received: Sequence[Received[Any]], uow: UnitOfWork) -> None:
        passed = []
        given = [each.message for each in received if isinstance(each.message, BY_HAND)]
        alone = await Alone.open(given, uow, till)
        for each in received:
            try:
                moments.check(each.message)
            except RefusalError as error:
                rejected(uow, each, error)
                continue
            if isinstance(each.message, BY_HAND) and not await _agreed(each, uow, till, alone):
                continue
            passed.append(each)
        await alone.save(uow, till)
        if passed:
            await handler(passed, uow)

    return batch


async def _agreed(each: Received[Any], uow: UnitOfWork, till: Till, alone: Alone) -> bool:
    command: ByHand = each.message
    action, subject_id = ACTIONS[type(command)], _subject_of(command)
    try:
        if not second_person.is_agreed(command):
            alone.add(command.actor, _worth(command, till, uow))
            return True
        await second_person.check_agreed(command, uow, till, action=action, subject_id=subject_id)
    except RefusalError as error:
        await operator_action.refused(uow, till, action, each, subject_id, error)
        return False
    await operator_action.agreed(uow, till, action, command, subject_id)
    return True


def _worth(command: ByHand, till: Till, uow: UnitOfWork) -> int:
    worth = by_hand.worth(command, till.offers.plans, uow.now)
    if worth < 0:
        raise InvalidError("less than nothing is given")
    return worth


def _subject_of(command: ByHand) -> str:
    """What a second person names it by."""
    match command:
        case GrantCredits():
            return command.grant_key
        case SetTier():
            return str(command.user_id)
        case SavePromo():
            return promos.normal(command.code)


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
