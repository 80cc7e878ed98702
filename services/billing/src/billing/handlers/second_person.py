"""Two people for so much money: the first is refused, the second agrees to it word for word."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from billing.domain.errors import InvalidError, NeedsSecondPersonError
from billing.ports.payments import Till
from chassis.outbox import UnitOfWork

APPROVED_BY = "approved_by"
LOCAL = "cli:"
"""How billing's own command line names who uses it."""


class ByHand(Protocol):
    """A command of an operator that a second one may have to agree to."""

    @property
    def actor(self) -> str: ...

    @property
    def approved_by(self) -> str: ...


async def check(
    command: ByHand, uow: UnitOfWork, till: Till, *, action: str, subject_id: str, amount: int
) -> None:
    """Raises NeedsSecondPersonError, or InvalidError where the first asked for no such thing."""
    # The same person may have come by either command line.
    if command.approved_by.removeprefix(LOCAL) in ("", command.actor.removeprefix(LOCAL)):
        if command.approved_by or abs(amount) > till.terms.adjust_alone_max:
            raise NeedsSecondPersonError
        return
    asked = await till.records.refused_alone(uow.connection, action, subject_id, command.actor)
    if not any(_words(each) == _words(msgspec.to_builtins(command)) for each in asked):
        raise InvalidError("a second person agrees to what the first one asked for, word for word")


def _words(detail: Any) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != APPROVED_BY}
