"""The record of what operators did or were refused: who, what, why, and how it ended."""

from __future__ import annotations

from typing import Any

import msgspec

from billing.handlers import announce
from billing.ports.payments import Till
from chassis.consumers import Received
from chassis.outbox import UnitOfWork
from contracts.envelope import Command
from contracts.errors import RefusalError

DONE = "done"
AGREED = "agreed"


async def done(uow: UnitOfWork, till: Till, action: str, command: Command, subject_id: str) -> None:
    await _note(uow, till, action, command, subject_id, DONE)


async def agreed(
    uow: UnitOfWork, till: Till, action: str, command: Command, subject_id: str
) -> None:
    """Two people want it; what became of it is recorded elsewhere."""
    await _note(uow, till, action, command, subject_id, AGREED)


async def ended(
    uow: UnitOfWork, till: Till, action: str, command: Command, subject_id: str, outcome: str
) -> None:
    """How it ended outside, some time after it was agreed to."""
    await _note(uow, till, action, command, subject_id, outcome)


async def refused(
    uow: UnitOfWork,
    till: Till,
    action: str,
    each: Received[Any],
    subject_id: str,
    error: RefusalError,
) -> None:
    await _note(uow, till, action, each.message, subject_id, error.code)
    announce.rejected(uow, each, error)


async def _note(
    uow: UnitOfWork, till: Till, action: str, command: Any, subject_id: str, outcome: str
) -> None:
    await till.records.note_action(
        uow.connection,
        actor=command.actor,
        action=action,
        subject_id=subject_id,
        detail=msgspec.to_builtins(command),
        outcome=outcome,
        now=uow.now,
    )
