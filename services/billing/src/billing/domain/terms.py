"""The shop's terms: every limit of the business, in one place, filled from settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from billing.domain.reward_terms import RewardTerms
from contracts.catalogue import Workflow
from contracts.money import Credits

TRIAL_CREDITS = Credits(20)
ACCESS_HOLD_MIN = timedelta(minutes=10)
RENEWAL_HOLD_SHARE = 4
"""A renewal's hold takes at most one part in so many of what is left of the period: where nobody
answers, it is voided with time to ask again."""


@dataclass(frozen=True, slots=True)
class Terms:
    zone: ZoneInfo
    price_valid: timedelta = timedelta(minutes=15)
    in_flight_max: int = 10
    start_within: timedelta = timedelta(minutes=30)
    attempts_max: int = 3
    hold_margin: timedelta = timedelta(minutes=10)
    access_hold: timedelta = timedelta(hours=6)
    """How long vpn may take to answer an order for access; nothing else can end it sooner."""
    trial_credits: Credits = TRIAL_CREDITS
    trial_period: timedelta = timedelta(days=2)
    expired_lots_kept: timedelta = timedelta(hours=1)
    delivery_within: timedelta = timedelta(minutes=10)
    delivery_spacing_max: timedelta = timedelta(hours=6)
    rows_max: int = 500
    """What one tick or sweep takes in one transaction."""
    rewards: RewardTerms = field(default_factory=RewardTerms)

    def access_hold_expiry(self, now: datetime, period_end: datetime | None = None) -> datetime:
        """`period_end`: of the period that a renewal follows."""
        if period_end is None:
            return now + self.access_hold
        share = max((period_end - now) / RENEWAL_HOLD_SHARE, ACCESS_HOLD_MIN)
        return now + min(self.access_hold, share)

    def hold_expiry(self, workflow: Workflow, now: datetime) -> datetime:
        """After this no answer can come any more: the last start, every attempt, and a margin."""
        running = timedelta(seconds=self.attempts_max * workflow.deadline_seconds)
        return now + self.start_within + running + self.hold_margin
