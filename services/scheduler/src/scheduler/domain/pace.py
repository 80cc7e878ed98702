"""How many of each kind may fire now: a fair share of the batch, within the kind's own limit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

BURST_SECONDS = 0.1
"""A limited kind fires at most so much of a second's worth at once."""


def shares(kinds: Sequence[str], batch_max: int) -> dict[str, int]:
    """Divide a batch evenly between the kinds that are due; each gets at least one place."""
    if not kinds:
        return {}
    each, more = divmod(batch_max, len(kinds))
    return {kind: max(each + (number < more), 1) for number, kind in enumerate(kinds)}


def allowance(free_at: datetime, now: datetime, per_second: float) -> int:
    """Return how many of a limited kind may fire now. `free_at`: when its last ones are paid off.

    One costs 1/per_second, and no more than a burst is saved up.
    """
    burst = max(BURST_SECONDS, 1 / per_second)
    saved = min((now - free_at).total_seconds(), burst)
    # One that costs exactly what is saved must not fail by a rounding.
    return max(int(saved * per_second + 1e-6), 0)


def paid_off(free_at: datetime, now: datetime, per_second: float, fired: int) -> datetime:
    """Return the next `free_at`."""
    burst = max(BURST_SECONDS, 1 / per_second)
    since = max(free_at, now - timedelta(seconds=burst))
    return since + timedelta(seconds=fired / per_second)
