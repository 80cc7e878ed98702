"""A person's history: transfers of one movement through several lots shown as one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.domain.accounts import AVAILABLE, KIND_GIFT, KIND_GIFT_BACK
from contracts.ids import OrderId
from contracts.money import NO_CREDITS, Credits


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


def page(entries: Sequence[Entry], limit: int, *, more: bool) -> tuple[list[Line], int]:
    """Merge entries into at most `limit` lines. Returns them and the number to go on before.

    `more`: the entries were cut off, so their last movement may be incomplete. 0: the end.
    """
    lines: list[Line] = []
    for entry in entries:
        last = lines[-1] if lines else None
        signed = _effect(entry)
        if last is not None and _continues(last, entry):
            last.first = entry.number
            last.credits = Credits(last.credits + signed)
            last.amount = Credits(last.amount + entry.amount)
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
            )
        )
    if more and len(lines) > 1:
        lines.pop()
        return lines[:limit], lines[:limit][-1].first
    shown = lines[:limit]
    goes_on = more or len(lines) > limit
    return shown, shown[-1].first if shown and goes_on else 0


def _effect(entry: Entry) -> Credits:
    if entry.credit == AVAILABLE:
        return entry.amount
    return Credits(-entry.amount) if entry.debit == AVAILABLE else NO_CREDITS


def _continues(line: Line, entry: Entry) -> bool:
    """Whether the entry belongs to the line's movement: one order's, one gift's, or one lot's."""
    if (line.kind, line.at, line.order_id) != (entry.kind, entry.at, entry.order_id):
        return False
    gift = entry.kind in {KIND_GIFT, KIND_GIFT_BACK} and line.reason == entry.reason
    return entry.order_id is not None or gift or line.lot == entry.lot
