"""A provider's statement of a period beside our charges: what agrees, and what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from billing.domain import charges
from contracts.ids import NOBODY, PaymentId, UserId
from contracts.operators import (
    RECONCILED_MISSING_THERE,
    RECONCILED_MISSING_WITH_US,
    RECONCILED_OTHER_AMOUNT,
    RECONCILED_PARTLY_REFUNDED,
    RECONCILED_REFUND_MISSING_THERE,
    RECONCILED_REFUND_MISSING_WITH_US,
    Difference,
)


@dataclass(slots=True)
class Line:
    """What a provider says of one charge."""

    charge_id: str
    at: datetime
    currency: str
    paid_minor: int | None = None
    """None: only its refund is stated."""
    refunded: bool = False
    part_minor: int = 0
    """What went back of it, where that is not all."""
    payment_id: PaymentId | None = None
    user_id: UserId = NOBODY


@dataclass(frozen=True, slots=True)
class Ours:
    """What we recorded of one charge."""

    charge_id: str
    payment_id: PaymentId | None
    user_id: UserId
    amount_minor: int
    currency: str
    paid_at: datetime
    state: str
    refunded_minor: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until). `read_until`: charges after it are not judged; None: all of them are."""

    since: datetime
    until: datetime
    read_until: datetime | None = None

    def has(self, moment: datetime) -> bool:
        return self.since <= moment < self.until

    def is_stated(self, moment: datetime) -> bool:
        return self.has(moment) and (self.read_until is None or moment < self.read_until)


@dataclass(slots=True)
class Compared:
    matched: int = 0
    matched_minor: Counter[str] = field(default_factory=Counter)
    refunds: int = 0
    refunded_minor: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def compare(
    lines: Mapping[str, Line], ours: Iterable[Ours], period: Period, *, states_refunds: bool
) -> Compared:
    """`ours` are the charges of the period, and those the lines name, whenever they were paid."""
    found = Compared()
    known = {each.charge_id: each for each in ours}
    for charge_id, line in lines.items():
        mine = known.get(charge_id)
        if period.has(line.at) and line.paid_minor is not None:
            _compare_paid(found, line, mine)
        if mine is not None and states_refunds and line.at < period.until:
            _compare_refund(found, line, mine)
    for charge_id, mine in known.items():
        if charge_id not in lines and period.is_stated(mine.paid_at):
            found.differences.append(_difference(RECONCILED_MISSING_THERE, None, mine))
    found.differences.sort(key=lambda each: (each.at, each.charge_id))
    return found


def _compare_paid(found: Compared, line: Line, mine: Ours | None) -> None:
    if mine is None:
        found.differences.append(_difference(RECONCILED_MISSING_WITH_US, line, None))
    elif (mine.amount_minor, mine.currency) != (line.paid_minor, line.currency):
        found.differences.append(_difference(RECONCILED_OTHER_AMOUNT, line, mine))
    else:
        found.matched += 1
        found.matched_minor[mine.currency] += mine.amount_minor


def _compare_refund(found: Compared, line: Line, mine: Ours) -> None:
    back = mine.state in charges.GIVEN_BACK
    if line.refunded and back:
        found.refunds += 1
        found.refunded_minor[mine.currency] += mine.amount_minor
    elif line.refunded and mine.state != charges.REFUNDING:
        # One that is under way with us is about to be heard of.
        found.differences.append(_difference(RECONCILED_REFUND_MISSING_WITH_US, line, mine))
    elif back and not line.refunded:
        found.differences.append(_difference(RECONCILED_REFUND_MISSING_THERE, line, mine))
    part = line.part_minor
    if part and not line.refunded and (mine.state, mine.refunded_minor) != (charges.PAID, part):
        found.differences.append(_difference(RECONCILED_PARTLY_REFUNDED, line, mine))


def _difference(kind: str, line: Line | None, mine: Ours | None) -> Difference:
    if mine is None:
        assert line is not None, "a difference is about something"
        return Difference(
            kind=kind,
            charge_id=line.charge_id,
            at=line.at,
            currency=line.currency,
            theirs_minor=line.paid_minor,
            user_id=line.user_id,
            payment_id=line.payment_id,
        )
    theirs = None
    if line is not None:
        theirs = line.part_minor if kind == RECONCILED_PARTLY_REFUNDED else line.paid_minor
    return Difference(
        kind=kind,
        charge_id=mine.charge_id,
        at=mine.paid_at,
        currency=mine.currency if line is None else line.currency,
        ours_minor=mine.amount_minor,
        theirs_minor=theirs,
        user_id=mine.user_id,
        payment_id=mine.payment_id,
        state=mine.state,
    )
