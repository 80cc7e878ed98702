"""Lots: credits of one kind that came together, and the order in which they are spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.billing import LOT_BONUS, LOT_PAID, LOT_TRIAL
from contracts.money import NO_CREDITS, Credits

OPEN = "open"
EXPIRED = "expired"
REVOKED = "revoked"

SPEND_PRIORITY = {LOT_TRIAL: 0, LOT_BONUS: 1, LOT_PAID: 2}


@dataclass(slots=True)
class Lot:
    """`number` counts the account's lots from 1; only an open lot may hold anything."""

    number: int
    kind: str
    granted: Credits
    remaining: Credits
    expires_at: datetime | None = None
    state: str = OPEN

    def is_live(self, now: datetime) -> bool:
        return self.state == OPEN and (self.expires_at is None or self.expires_at > now)


def in_spend_order(lots: Iterable[Lot]) -> list[Lot]:
    """Trial, then bonus, then paid; the nearest expiry first, never-expiring last."""
    return sorted(lots, key=spend_key)


def spend_key(lot: Lot) -> tuple[int, float, int]:
    """By what lots are put into that order."""
    expiry = lot.expires_at.timestamp() if lot.expires_at is not None else float("inf")
    return SPEND_PRIORITY[lot.kind], expiry, lot.number


def unseen(number: int) -> Lot:
    """A lot that need not be loaded: a transfer names it but changes nothing in it."""
    return Lot(number, LOT_TRIAL, NO_CREDITS, NO_CREDITS)
