"""The shop's terms: every limit of the business, in one place, filled from settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from contracts.catalogue import Workflow


@dataclass(frozen=True, slots=True)
class Terms:
    zone: ZoneInfo
    price_valid: timedelta = timedelta(minutes=15)
    in_flight_max: int = 10
    start_within: timedelta = timedelta(minutes=30)
    attempts_max: int = 3
    hold_margin: timedelta = timedelta(minutes=10)
    trial_credits: int = 20
    trial_period: timedelta = timedelta(days=2)
    expired_lots_kept: timedelta = timedelta(hours=1)
    delivery_within: timedelta = timedelta(minutes=10)
    delivery_spacing_max: timedelta = timedelta(hours=6)
    rows_max: int = 500
    """What one tick or sweep takes in one transaction."""

    def hold_expiry(self, workflow: Workflow, now: datetime) -> datetime:
        """After this no answer can come any more: the last start, every attempt, and a margin."""
        running = timedelta(seconds=self.attempts_max * workflow.deadline_seconds)
        return now + self.start_within + running + self.hold_margin
