"""Moments and durations in a person's own time zone and words."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.domain.screen import Say

_MINUTE = 60
_SECONDS_STEP = 5


def moment(say: Say, at: datetime, zone: ZoneInfo) -> str:
    """Day, month and time: the year is not in doubt of what is near."""
    local = at.astimezone(zone)
    return say("moment", day=str(local.day), month=local.month, time=f"{local:%H:%M}")


def dated(say: Say, at: datetime, zone: ZoneInfo) -> str:
    """The same with the year, for what was bought for a year."""
    local = at.astimezone(zone)
    time = f"{local:%H:%M}"
    return say(
        "moment-year", day=str(local.day), month=local.month, year=str(local.year), time=time
    )


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M}"


def duration(say: Say, seconds: float) -> str:
    """A guess is not shown more exactly than it is known: 5-second steps, then whole minutes."""
    if seconds < _MINUTE:
        steps = max(1, -(-int(seconds) // _SECONDS_STEP))
        return say("duration-seconds", seconds=steps * _SECONDS_STEP)
    return say("duration-minutes", minutes=-(-int(seconds) // _MINUTE))


def next_midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """When the shop's day ends and daily quotas renew."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone)
