"""The shop's terms of access: every limit in one place, filled from settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

GRACE_OFF = "off"
GRACE_OBSERVE = "observe"
"""Nobody gets it; logs and metrics say who would have."""
GRACE_ON = "on"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` to `end` o'clock in a person's zone nobody is written to; equal: no such time.

    Reminders go out from `end` on, spread over `spread`, so that they are not all one second's.
    """

    begin: int = 22
    end: int = 9
    spread: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Terms:
    day: timedelta = timedelta(days=1)
    """How long a day that was bought or given lasts."""
    grace_policy: str = GRACE_OFF
    grace: timedelta = timedelta(days=3)
    retention: timedelta = timedelta(days=30)
    """After the end, key and link are kept so long for whoever pays late."""
    renew_before: timedelta = timedelta(hours=24)
    renew_attempts_max: int = 3
    renew_spacing: timedelta = timedelta(hours=6)
    auto_renew_at_first: bool = False
    """Whether a first purchase switches renewal on; the person can always say otherwise."""
    reminder_days: tuple[int, ...] = (3, 2, 1, 0)
    trial_reminder_days: tuple[int, ...] = (1, 0)
    quiet: QuietHours = field(default_factory=QuietHours)
    zone: str = "UTC"
    """Where a person is who never said."""
    traffic_notice_percent: int = 80
    devices_grace: timedelta = timedelta(minutes=15)
    """So long more addresses than allowed are taken for a phone that changes networks."""
    devices_notice_every: timedelta = timedelta(days=1)
    flow: str = ""
    """What every entry on nodes carries as VLESS flow."""
    rows_max: int = 500
    """What one tick, sweep or page takes in one transaction."""

    @property
    def grace_given(self) -> timedelta:
        return self.grace if self.grace_policy == GRACE_ON else timedelta(0)
