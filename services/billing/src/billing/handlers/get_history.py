"""history: one page of what a person got and spent, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from billing.domain import history
from billing.domain.accounts import KIND_PLAN
from billing.domain.errors import InvalidError
from billing.domain.history import Gain, Line
from billing.ports import Reads
from contracts.billing import GetHistory, History, HistoryEntry
from contracts.money import NO_CREDITS
from contracts.payments import Plan

DAY = timedelta(days=1)
TRANSFERS_PER_LINE = 4
"""One movement seldom touches more lots; if it does, the page is a little shorter."""


async def get_history(
    request: GetHistory, *, reads: Reads, plans: Mapping[str, Plan], page_max: int
) -> History:
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
        entries=tuple(
            _gained(each, plans) if isinstance(each, Gain) else _moved(each, plans)
            for each in shown
        ),
        next_before=rest.wire() if rest is not None else "",
    )


def _moved(line: Line, plans: Mapping[str, Plan]) -> HistoryEntry:
    plan = plans.get(line.reason) if line.kind == KIND_PLAN else None
    return HistoryEntry(
        at=line.at,
        kind=line.kind,
        credits=line.credits,
        amount_credits=line.amount,
        order_id=line.order_id,
        workflow_id=line.workflow_id,
        reason=line.reason,
        percent=line.percent,
        debt_credits=line.debt,
        tier=plan.tier if plan is not None else "",
        days=plan.days if plan is not None else 0,
    )


def _gained(gain: Gain, plans: Mapping[str, Plan]) -> HistoryEntry:
    plan = plans.get(gain.product_id)
    return HistoryEntry(
        at=gain.at,
        kind=gain.kind,
        credits=NO_CREDITS,
        amount_credits=NO_CREDITS,
        reason=gain.reason,
        percent=gain.percent,
        tier=gain.tier,
        until=gain.until,
        days=plan.days if plan is not None else 0,
        taken_days=round(gain.taken / DAY),
        amount_minor=gain.amount_minor,
        currency=gain.currency,
        order_id=gain.order_id,
        workflow_id=gain.workflow_id,
    )
