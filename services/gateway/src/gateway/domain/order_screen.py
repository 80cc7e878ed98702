"""The life of one price screen: at most one order, whatever is tapped and in whatever order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from contracts.ids import MediaId, OrderId, UserId
from contracts.media import MediaRef
from contracts.money import Credits

PRICED = "priced"
CONFIRMING = "confirming"
"""Confirmed, but a photo is still on its way: the media handler places the order."""
DROPPED = "dropped"
PLACED = "placed"
ACCEPTED = "accepted"
RUNNING = "running"
REFUSED = "refused"
COMPLETED = "completed"
REFUNDED = "refunded"
IN_FLIGHT = frozenset({PLACED, ACCEPTED, RUNNING})

# From which states an event or a tap may lead into a state. Events come in any order: a state
# that is not listed means "too late" or "already there", and nothing is shown or sent again.
_FROM: Mapping[str, frozenset[str]] = {
    CONFIRMING: frozenset({PRICED}),
    DROPPED: frozenset({PRICED, CONFIRMING}),
    PLACED: frozenset({PRICED, CONFIRMING}),
    ACCEPTED: frozenset({PLACED}),
    RUNNING: frozenset({PLACED, ACCEPTED}),
    REFUSED: frozenset({PLACED}),
    REFUNDED: frozenset({PLACED, ACCEPTED, RUNNING}),
    # A late success after a refund is given as a gift (design.md §4).
    COMPLETED: frozenset({PLACED, ACCEPTED, RUNNING, REFUNDED}),
}

_MEDIA_AVAILABLE = "available"
_MEDIA_FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderScreen:
    """What the person was shown, and how far its order has come."""

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    catalogue_version: int
    price_credits: Credits
    base_price_credits: Credits
    priced_at: datetime
    inputs: tuple[MediaId, ...]
    state: str = PRICED
    params: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[MediaRef, ...] = ()
    shown_ahead: int | None = None
    cancel_asked: bool = False


def may_become(state: str, wanted: str) -> bool:
    return state in _FROM[wanted]


def sources(wanted: str) -> frozenset[str]:
    """The states from which `wanted` may be reached: the WHERE of a compare-and-set."""
    return _FROM[wanted]


def after_confirm(media_states: Collection[str]) -> str:
    """Where a confirm tap leads: PLACED, CONFIRMING for a photo, or DROPPED with a failed one."""
    if any(state == _MEDIA_FAILED for state in media_states):
        return DROPPED
    if all(state == _MEDIA_AVAILABLE for state in media_states):
        return PLACED
    return CONFIRMING
