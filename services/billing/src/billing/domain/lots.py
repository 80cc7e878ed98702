"""Lots: credits of one kind that came together, and the order in which they are spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from contracts.billing import LOT_BONUS, LOT_PAID, LOT_TRIAL
from contracts.money import Credits

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
    return sorted(lots, key=_spend_key)


def _spend_key(lot: Lot) -> tuple[int, float, int]:
    expiry = lot.expires_at.timestamp() if lot.expires_at is not None else float("inf")
    return SPEND_PRIORITY[lot.kind], expiry, lot.number
