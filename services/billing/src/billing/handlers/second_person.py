"""Two people for so much money: the first is refused, the second agrees to it word for word."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from billing.domain.by_hand import person_of
from billing.domain.errors import InvalidError, NeedsSecondPersonError
from billing.domain.quotas import shop_day
from billing.ports.payments import PaymentTerms, Till
from chassis.outbox import UnitOfWork

APPROVED_BY = "approved_by"


class ByHand(Protocol):
    """A command of an operator that a second one may have to agree to."""

    @property
    def actor(self) -> str: ...

    @property
    def approved_by(self) -> str: ...


class Alone:
    """What people did alone this shop day, theirs to add to until the transaction ends."""

    def __init__(self, terms: PaymentTerms, sums: dict[str, int]) -> None:
        self._terms = terms
        self._sums = sums

    @classmethod
    async def open(cls, commands: list[Any], uow: UnitOfWork, till: Till) -> Alone:
        people = {person_of(each.actor) for each in commands if not each.approved_by}
        if not people:
            return cls(till.terms, {})
        day = shop_day(uow.now, till.terms.zone)
        return cls(till.terms, await till.records.alone_on(uow.connection, sorted(people), day))

    def add(self, actor: str, amount: int) -> None:
        """Raises NeedsSecondPersonError: too much at once, or together with the rest of the day."""
        person = person_of(actor)
        total = self._sums.get(person, 0) + abs(amount)
        if amount and (
            abs(amount) > self._terms.adjust_alone_max or total > self._terms.adjust_alone_day_max
        ):
            raise NeedsSecondPersonError
        self._sums[person] = total

    async def save(self, uow: UnitOfWork, till: Till) -> None:
        if self._sums:
            day = shop_day(uow.now, self._terms.zone)
            await till.records.save_alone(uow.connection, self._sums, day)


async def check(
    command: ByHand, uow: UnitOfWork, till: Till, *, action: str, subject_id: str, amount: int
) -> None:
    """Raises NeedsSecondPersonError, or InvalidError where the first asked for no such thing."""
    if is_agreed(command):
        await check_agreed(command, uow, till, action=action, subject_id=subject_id)
        return
    alone = await Alone.open([command], uow, till)
    alone.add(command.actor, amount)
    await alone.save(uow, till)


def is_agreed(command: ByHand) -> bool:
    """Whether somebody else agrees. Raises NeedsSecondPersonError for one's own consent."""
    if command.approved_by and person_of(command.approved_by) in ("", person_of(command.actor)):
        raise NeedsSecondPersonError
    return bool(command.approved_by)


async def check_agreed(
    command: ByHand,
    uow: UnitOfWork,
    till: Till,
    *,
    action: str,
    subject_id: str,
    once: bool = False,
) -> None:
    """Raise InvalidError where the first asked for no such thing.

    `once`: nor since somebody last agreed to something about this subject.
    """
    asked = await till.records.refused_alone(
        uow.connection, action, subject_id, command.actor, since_agreed=once
    )
    if not any(_words(each) == _words(msgspec.to_builtins(command)) for each in asked):
        raise InvalidError("a second person agrees to what the first one asked for, word for word")


def _words(detail: Any) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name != APPROVED_BY}
