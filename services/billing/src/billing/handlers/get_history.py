"""history: one page of a person's ledger, newest first."""

from __future__ import annotations

from billing.domain import history
from billing.domain.errors import InvalidError
from billing.ports import Reads
from contracts.billing import GetHistory, History, HistoryEntry
from contracts.money import CREDITS_MAX

TRANSFERS_PER_LINE = 4
"""One movement seldom touches more lots; if it does, the page is a little shorter."""


async def get_history(request: GetHistory, *, reads: Reads, page_max: int) -> History:
    """Raises InvalidError for a cursor that is none of ours."""
    if request.before and not (request.before.isascii() and request.before.isdigit()):
        raise InvalidError("before")
    before = min(int(request.before[:10] or CREDITS_MAX), CREDITS_MAX)
    limit = max(1, min(request.limit, page_max))
    fetched = limit * TRANSFERS_PER_LINE
    entries = await reads.entries(request.user_id, before, fetched)
    lines, next_before = history.page(entries, limit, more=len(entries) == fetched)
    return History(
        entries=tuple(
            HistoryEntry(
                at=line.at,
                kind=line.kind,
                credits=line.credits,
                amount_credits=line.amount,
                order_id=line.order_id,
                workflow_id=line.workflow_id,
                reason=line.reason,
            )
            for line in lines
        ),
        next_before=str(next_before) if next_before else "",
    )
