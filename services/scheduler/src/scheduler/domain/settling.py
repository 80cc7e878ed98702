"""What becomes of a timer whose moment has come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from contracts.scheduler import CATCH_UP_SKIP
from scheduler.domain import calendar, timers
from scheduler.domain.calendar import Rule
from scheduler.domain.errors import TimerInvalidError
from scheduler.domain.zones import zone

HELD = "held"
"""Its rule is none that this release knows: it waits for one that does, and others do not."""
HELD_FOR = timedelta(minutes=1)
LATE_FLOOR = timedelta(seconds=3)
"""Nothing fires at the very moment it is due: the longest sleep between two looks, and a second."""
UNKNOWN_RULE = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
"""What the calendar says to a rule it cannot follow."""
MOVED = "moved"
"""Its zone's rules were changed since it was set: it is due later than was thought."""


class DueTimer(msgspec.Struct, frozen=True):
    """A timer that was claimed."""

    key: str
    version: int
    due_at: datetime
    fire_subject: str
    fire_body: bytes
    traceparent: str
    kind: str
    catch_up: str
    late_max_seconds: int
    rule: Rule | None
    readable: bool = True
    """Whether `rule` is all of what is stored."""


class Settled(msgspec.Struct, frozen=True):
    """How it ended, and as what it is kept. `zone_lost`: its zone is not known any more.

    Without a `rule` the stored one stays as it is.
    """

    timer: DueTimer
    outcome: str
    state: str
    due_at: datetime
    rule: Rule | None
    zone_lost: bool = False

    @property
    def goes_on(self) -> bool:
        return self.state == timers.ARMED

    @property
    def held(self) -> bool:
        return self.outcome == HELD

    @property
    def fires(self) -> bool:
        return self.outcome == timers.FIRED


def settle(
    timer: DueTimer, now: datetime, *, superseded: bool = False, forced: bool = False
) -> Settled:
    """Decide about a due timer. `superseded`: a newer one of its group is due as well.

    `forced`: a person fires it, due or not.
    """
    if timer.readable:
        try:
            return _settle(timer, now, superseded=superseded, forced=forced)
        except UNKNOWN_RULE:
            pass
    return Settled(timer, HELD, timers.ARMED, now + HELD_FOR, None)


def _settle(timer: DueTimer, now: datetime, *, superseded: bool, forced: bool) -> Settled:
    where, zone_lost = _where(timer.rule)
    if timer.rule is not None and not forced:
        right = calendar.due_again(timer.rule, where)
        if right > now:
            return Settled(timer, MOVED, timers.ARMED, right, timer.rule, zone_lost)
    outcome = timers.FIRED if forced else _outcome(timer, now, superseded=superseded)
    if timer.rule is not None and timer.rule.repeat is not None:
        # Fired early, it keeps the time it is armed for: a first one may be set a day further on
        # than its rhythm alone would have it.
        armed_for = timer.due_at - calendar.JUST_BEFORE if forced else timer.due_at
        after = max(now, armed_for)
        following = calendar.following(timer.rule, after, where)
        return Settled(timer, outcome, timers.ARMED, following.due_at, following.rule, zone_lost)
    due_at = now if forced else timer.due_at
    return Settled(timer, outcome, outcome, due_at, timer.rule, zone_lost)


def _outcome(timer: DueTimer, now: datetime, *, superseded: bool) -> str:
    if superseded:
        return timers.COALESCED
    late_max = max(timedelta(seconds=timer.late_max_seconds), LATE_FLOOR)
    if timer.catch_up == CATCH_UP_SKIP and now - timer.due_at > late_max:
        return timers.SKIPPED
    return timers.FIRED


def _where(rule: Rule | None) -> tuple[tzinfo, bool]:
    """A zone that was known when the timer was set and is not now: UTC keeps its rhythm."""
    if rule is None:
        return UTC, False
    try:
        return zone(rule.time_zone), False
    except TimerInvalidError:
        return UTC, True
