"""history: one page of what a person got and spent, newest first."""

from __future__ import annotations

from billing.domain import history
from billing.domain.errors import InvalidError
from billing.domain.history import Gain, Line
from billing.ports import Reads
from contracts.billing import GetHistory, History, HistoryEntry
from contracts.money import NO_CREDITS

TRANSFERS_PER_LINE = 4
"""One movement seldom touches more lots; if it does, the page is a little shorter."""


async def get_history(request: GetHistory, *, reads: Reads, page_max: int) -> History:
    """Raises InvalidError for a cursor that is none of ours."""
    asked = history.cursor_of(request.before)
    if asked is None:
        raise InvalidError("before")
    limit = max(1, min(request.limit, page_max))
    fetched = limit * TRANSFERS_PER_LINE
    entries = await reads.entries(request.user_id, asked.number, fetched)
    lines, next_number = history.page(entries, limit, more=len(entries) == fetched)
    gains: list[Gain] = []
    if asked.before is not None:
        gains = await reads.gains(request.user_id, asked.before, limit + 1)
    shown, rest = history.merge(lines, gains, limit, asked=asked, next_number=next_number)
    return History(
        entries=tuple(_gained(each) if isinstance(each, Gain) else _moved(each) for each in shown),
        next_before=rest.wire() if rest is not None else "",
    )


def _moved(line: Line) -> HistoryEntry:
    return HistoryEntry(
        at=line.at,
        kind=line.kind,
        credits=line.credits,
        amount_credits=line.amount,
        order_id=line.order_id,
        workflow_id=line.workflow_id,
        reason=line.reason,
        percent=line.percent,
    )


def _gained(gain: Gain) -> HistoryEntry:
    return HistoryEntry(
        at=gain.at,
        kind=gain.kind,
        credits=NO_CREDITS,
        amount_credits=NO_CREDITS,
        reason=gain.reason,
        percent=gain.percent,
        tier=gain.tier,
        until=gain.until,
    )
