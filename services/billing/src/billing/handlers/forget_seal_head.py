"""forget_seal_head: two people let the chain's head outside the database go, after a restore."""

from __future__ import annotations

from typing import Any

from billing.domain.errors import InvalidError, NeedsSecondPersonError
from billing.handlers import operator_action, second_person
from billing.ports import SealHeads
from billing.ports.payments import Till
from chassis import logs
from chassis.consumers import Received
from chassis.effects import Effect, EffectKind, EffectResult
from chassis.outbox import UnitOfWork
from contracts.errors import RefusalError
from contracts.operators import ForgetSealHead, SealHeadForgotten, SealHeadStays

log = logs.get("billing.seals")
ACTION = EFFECT = "forget_seal_head"
ATTEMPTS_MAX = 5
STAYS = "stays"
GONE = "gone"
"""Not kept when an attempt looked that was not the first: the one before it took it, most likely,
and was killed before it could say so."""


async def forget_seal_head(command: ForgetSealHead, uow: UnitOfWork, *, till: Till) -> None:
    if command.number < 1 or not command.actor or not command.reason.strip():
        raise InvalidError("a head has a number; somebody decides, and says why")
    # It is what shows that the ledger was changed: nobody alone takes it away.
    if not second_person.is_agreed(command):
        raise NeedsSecondPersonError
    # Once: after a restore numbers come again, and last time's word is about another head.
    await second_person.check_agreed(
        command, uow, till, action=ACTION, subject_id=command.seal_id, once=True
    )
    uow.effect(EFFECT, f"{EFFECT}:{command.seal_id}:{uow.now.isoformat()}", command.encode())
    await operator_action.agreed(uow, till, ACTION, command, command.seal_id)


async def not_forgotten(
    uow: UnitOfWork, each: Received[Any], error: RefusalError, *, till: Till
) -> None:
    await operator_action.refused(uow, till, ACTION, each, each.message.seal_id, error)


def effect(heads: SealHeads, till: Till) -> EffectKind:
    """The key outside. Asked twice, it finds the number gone, changes nothing more and says so."""

    async def call(effect: Effect) -> EffectResult:
        command = ForgetSealHead.decode(effect.body)
        kept, found = await heads.kept(), await heads.head()
        outcome = STAYS
        if kept != found and await heads.forget(command.number):
            outcome = operator_action.DONE
        elif effect.attempt > 1 and command.number != kept.number <= found.number:
            # Nothing newer than the ledger is kept now, so there is none that stays either.
            outcome = GONE
        forgotten = outcome != STAYS

        async def record(uow: UnitOfWork) -> None:
            await operator_action.ended(uow, till, ACTION, command, command.seal_id, outcome)
            uow.emit(
                SealHeadForgotten(
                    number=command.number,
                    reason=command.reason,
                    actor=command.actor,
                    approved_by=command.approved_by,
                )
                if forgotten
                else SealHeadStays(number=command.number, kept=kept.number, found=found.number)
            )

        log.warning(
            "seal_head_forgotten" if forgotten else "seal_head_stays",
            outcome=outcome,
            number=command.number,
            kept=kept.number,
            found=found.number,
            actor=command.actor,
        )
        return EffectResult.done(record)

    return EffectKind(name=EFFECT, call=call, attempts_max=ATTEMPTS_MAX)
