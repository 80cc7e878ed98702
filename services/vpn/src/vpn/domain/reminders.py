"""Who is reminded when: days by the calendar of the person's zone, and never while it is night."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.vpn import STATE_ACTIVE
from vpn.domain.access import Subscription, lasts
from vpn.domain.terms import QuietHours, Terms


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo | None:
    """None: there is no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _zone(one: Subscription, terms: Terms) -> ZoneInfo:
    zone = zone_of(one.time_zone) if one.time_zone else None
    return zone or zone_of(terms.zone) or ZoneInfo("UTC")


def awake(now: datetime, zone: ZoneInfo, quiet: QuietHours) -> bool:
    hour = now.astimezone(zone).hour
    if quiet.begin == quiet.end:
        return True
    if quiet.begin < quiet.end:
        return not quiet.begin <= hour < quiet.end
    return quiet.end <= hour < quiet.begin


def _morning(day: date, zone: ZoneInfo, quiet: QuietHours) -> datetime:
    """The end of the quiet hours of a day; where clocks jump over it, the first moment after."""
    local = datetime.combine(day, time(quiet.end % 24), zone)
    # There and back: a time that does not exist on that day becomes one that does.
    return datetime.fromtimestamp(local.timestamp(), tz=ZoneInfo("UTC"))


def moment_of(one: Subscription, days_left: int, terms: Terms) -> datetime | None:
    """When the reminder of so many days before the end is due; None: its day has no such time."""
    zone = _zone(one, terms)
    day = one.until.astimezone(zone).date() - timedelta(days=days_left)
    opening = _morning(day, zone, terms.quiet)
    spread = int(terms.quiet.spread.total_seconds())
    spread_moment = opening + timedelta(seconds=one.id.int % spread if spread else 0)
    for moment in (spread_moment, opening):
        if moment < one.until and awake(moment, zone, terms.quiet):
            return moment
    return None


def due(one: Subscription, now: datetime, terms: Terms) -> int | None:
    """How many days are left, if the person should hear that now."""
    if not _remindable(one, now):
        return None
    zone = _zone(one, terms)
    left = (one.until.astimezone(zone).date() - now.astimezone(zone).date()).days
    if left not in _days_to_tell(one, terms) or not awake(now, zone, terms.quiet):
        return None
    moment = moment_of(one, left, terms)
    return left if moment is not None and moment <= now else None


def told(one: Subscription, days_left: int) -> None:
    one.reminded_for, one.reminded_left = one.until, days_left


def next_at(one: Subscription, now: datetime, terms: Terms) -> datetime | None:
    """When the next reminder may be due, from `now` on."""
    if not _remindable(one, now):
        return None
    if due(one, now, terms) is not None:
        return now
    moments = (moment_of(one, left, terms) for left in _days_to_tell(one, terms))
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def _remindable(one: Subscription, now: datetime) -> bool:
    return one.reminders and one.state == STATE_ACTIVE and now < one.until


def _days_to_tell(one: Subscription, terms: Terms) -> list[int]:
    days = terms.trial_reminder_days if one.trial else terms.reminder_days
    if one.reminded_for == one.until:
        return [each for each in days if each < one.reminded_left]
    return list(days)


def short_due(one: Subscription, now: datetime, terms: Terms) -> bool:
    """Whether to say now that credits do not suffice to renew: once a period."""
    return _short_waits(one, now) and awake(now, _zone(one, terms), terms.quiet)


def short_next_at(one: Subscription, now: datetime, terms: Terms) -> datetime | None:
    if not _short_waits(one, now):
        return None
    zone = _zone(one, terms)
    if awake(now, zone, terms.quiet):
        return now
    today = now.astimezone(zone).date()
    mornings = (_morning(today + timedelta(days=ahead), zone, terms.quiet) for ahead in (0, 1))
    return next((each for each in mornings if each > now), None)


def _short_waits(one: Subscription, now: datetime) -> bool:
    return one.short_for == one.until and not one.short_told and lasts(one, now)
