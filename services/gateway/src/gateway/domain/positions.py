"""Which changes of a queue position are worth an edit: near the front each, far back a few."""

from __future__ import annotations

EACH_UP_TO = 7
_STEP = 5
FAR = 50


def milestone(ahead: int) -> int:
    """The position as it is shown: exact near the front, rounded up further back."""
    if ahead <= EACH_UP_TO:
        return max(ahead, 0)
    step = _STEP if ahead <= FAR else _STEP * 5
    return -(-ahead // step) * step


def worth_showing(shown: int | None, ahead: int) -> bool:
    return shown is None or milestone(shown) != milestone(ahead)
