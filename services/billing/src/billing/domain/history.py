"""A person's history: what moved, a line a movement, and what was given that is no credits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.domain.accounts import AVAILABLE, DEBT, KIND_GRANT, KIND_TRIAL
from contracts.ids import OrderId
from contracts.money import CREDITS_MAX, NO_CREDITS, Credits

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_BY_LOT = frozenset({KIND_GRANT, KIND_TRIAL})
CURSOR = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,18}))?", re.ASCII)


@dataclass(slots=True)
class Line:
    """What one movement did; `first` is the lowest transfer number in it."""

    first: int
    at: datetime
    kind: str
    credits: Credits
    amount: Credits
    order_id: OrderId | None
    workflow_id: str
    reason: str
    lot: int
    percent: int = 0
    """What the order's price was lower by."""
    debt: Credits = NO_CREDITS
    """Signed: what it paid of the debt, or (below 0) what is owed since."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A transfer as read back for showing, newest first."""

    number: int
    at: datetime
    kind: str
    debit: str
    credit: str
    lot: int
    amount: Credits
    order_id: OrderId | None
    workflow_id: str
    reason: str
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Gain:
    """What moved no credits: `kind` tier, discount, refund (of a plan) or free (an order)."""

    at: datetime
    kind: str
    tier: str
    until: datetime | None
    percent: int
    reason: str
    """Where a status or a discount came from."""
    product_id: str = ""
    """The plan whose money went back."""
    amount_minor: int = 0
    currency: str = ""
    taken: timedelta = timedelta(0)
    order_id: OrderId | None = None
    workflow_id: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page goes on: below a transfer's number, and before a moment."""

    number: int
    before: datetime | None
    """None: a page of before gains were shown, which goes on without them."""

    def wire(self) -> str:
        moment = (self.before or EPOCH) - EPOCH
        return f"{self.number}-{moment // MICROSECOND}"


NEWEST = Cursor(CREDITS_MAX, FAR)


def cursor_of(text: str) -> Cursor | None:
    """The newest page for an empty text; None for what is no cursor of ours."""
    if not text:
        return NEWEST
    found = CURSOR.fullmatch(text)
    if found is None:
        return None
    number = min(int(found[1]), CREDITS_MAX)
    if found[2] is None:
        return Cursor(number, None)
    return Cursor(number, EPOCH + min(int(found[2]), (FAR - EPOCH) // MICROSECOND) * MICROSECOND)


def page(entries: Sequence[Entry], limit: int, *, more: bool) -> tuple[list[Line], int]:
    """Merge entries into at most `limit` lines. Returns them and the number to go on before.

    `more`: the entries were cut off, so their last movement may be incomplete. 0: the end.
    """
    lines: list[Line] = []
    for entry in entries:
        last = lines[-1] if lines else None
        signed = _effect(entry, AVAILABLE)
        if last is not None and _continues(last, entry):
            last.first = entry.number
            last.credits = Credits(last.credits + signed)
            last.amount = Credits(last.amount + entry.amount)
            last.debt = Credits(last.debt + _effect(entry, DEBT))
            continue
        lines.append(
            Line(
                entry.number,
                entry.at,
                entry.kind,
                signed,
                entry.amount,
                entry.order_id,
                entry.workflow_id,
                entry.reason,
                entry.lot,
                entry.percent,
                _effect(entry, DEBT),
            )
        )
    if more and len(lines) > 1:
        lines.pop()
        return lines[:limit], lines[:limit][-1].first
    shown = lines[:limit]
    goes_on = more or len(lines) > limit
    return shown, shown[-1].first if shown and goes_on else 0


def merge(
    lines: Sequence[Line], gains: Sequence[Gain], limit: int, *, asked: Cursor, next_number: int
) -> tuple[list[Line | Gain], Cursor | None]:
    """At most `limit` of both, newest first, and where the next page goes on; None: the end.

    `gains`: one more than the limit, where there are so many. `next_number`: page()'s second.
    """
    both: list[Line | Gain] = sorted([*gains, *lines], key=lambda each: each.at, reverse=True)
    shown = both[:limit]
    # Gains of one moment stay together: the next page begins before it.
    last = shown[-1].at if shown else None
    shown += [each for each in both[limit:] if isinstance(each, Gain) and each.at == last]
    if len(shown) == len(both) and not next_number:
        return shown, None
    numbers = [each.first for each in shown if isinstance(each, Line)]
    moments = [each.at for each in shown if isinstance(each, Gain)]
    number = numbers[-1] if numbers else asked.number
    return shown, Cursor(number, moments[-1] if moments else asked.before)


def _effect(entry: Entry, account: str) -> Credits:
    if entry.credit == account:
        return entry.amount
    return Credits(-entry.amount) if entry.debit == account else NO_CREDITS


def _continues(line: Line, entry: Entry) -> bool:
    """Whether the entry belongs to the line's movement: one order's, one reason's, or one lot's."""
    if (line.kind, line.at, line.order_id) != (entry.kind, entry.at, entry.order_id):
        return False
    if entry.order_id is not None or line.lot == entry.lot:
        return True
    # A grant fills one lot, and two of them may be two purchases; others go through many lots.
    same = entry.kind not in _BY_LOT and line.reason == entry.reason
    return same and (line.credits + line.debt > 0) == (_sum(entry) > 0)


def _sum(entry: Entry) -> int:
    return _effect(entry, AVAILABLE) + _effect(entry, DEBT)
