"""When a timer with a time zone is due: its recurrences and its quiet hours."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

from contracts.scheduler import UNIT_DAY, UNIT_MONTH, UNIT_WEEK, UNIT_YEAR, Repeat
from scheduler.domain.quiet_hours import QuietHours
from scheduler.domain.zones import resolve

MONTHS = 12
STEP_DAYS = {UNIT_DAY: 1, UNIT_WEEK: 7}
STEP_MONTHS = {UNIT_MONTH: 1, UNIT_YEAR: MONTHS}
LOOK_BACK = timedelta(days=2)
"""A time before now may still be due after now: its quiet hours end later."""
JUST_BEFORE = timedelta(microseconds=1)


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """The calendar of one timer, as it is kept with it. `planned`: its moment without quiet hours.

    `anchor` and `day` are local dates: what a recurrence counts from, and the one that is next.
    """

    time_zone: str
    quiet_from: str = ""
    quiet_until: str = ""
    repeat: Repeat | None = None
    anchor: date | None = None
    day: date | None = None
    planned: datetime | None = None

    @property
    def quiet(self) -> QuietHours | None:
        if not self.quiet_from:
            return None
        return QuietHours(time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until))


class Occurrence(msgspec.Struct, frozen=True):
    """A moment a timer is due, and the rule as it is kept until then."""

    due_at: datetime
    rule: Rule


def first(rule: Rule, due_at: datetime, where: tzinfo) -> Occurrence:
    """Return when a new timer is due: never before `due_at`."""
    if rule.repeat is None:
        kept = msgspec.structs.replace(rule, planned=due_at)
        return Occurrence(_past_quiet(rule, due_at, where), kept)
    anchored = msgspec.structs.replace(rule, anchor=due_at.astimezone(where).date())
    return following(anchored, due_at - JUST_BEFORE, where)


def following(rule: Rule, after: datetime, where: tzinfo) -> Occurrence:
    """Return the first recurrence that is due after a moment."""
    assert rule.repeat is not None
    assert rule.anchor is not None
    since = after.astimezone(where).date() - LOOK_BACK
    for day in _days(rule.repeat, rule.anchor, since):
        due_at = _due_on(rule, rule.repeat, day, where)
        if due_at > after:
            return Occurrence(due_at, msgspec.structs.replace(rule, day=day))
    raise AssertionError("a recurrence has no end")


def due_again(rule: Rule, where: tzinfo) -> datetime:
    """Return when the armed time is due by the zone as it is known today.

    Its rules may have changed since the timer was set.
    """
    if rule.repeat is not None and rule.day is not None:
        return _due_on(rule, rule.repeat, rule.day, where)
    assert rule.planned is not None
    return _past_quiet(rule, rule.planned, where)


def _due_on(rule: Rule, repeat: Repeat, day: date, where: tzinfo) -> datetime:
    moment = resolve(datetime.combine(day, time.fromisoformat(repeat.at)), where)
    return _past_quiet(rule, moment, where)


def _past_quiet(rule: Rule, moment: datetime, where: tzinfo) -> datetime:
    quiet = rule.quiet
    return moment if quiet is None else quiet.moved(moment, where).astimezone(UTC)


def _days(repeat: Repeat, anchor: date, since: date) -> Iterator[date]:
    """The dates of a recurrence in order, from the last one not after `since` on."""
    if repeat.unit in STEP_DAYS:
        step = timedelta(days=repeat.every * STEP_DAYS[repeat.unit])
        number = max((since - anchor) // step, 0)
        while True:
            yield anchor + step * number
            number += 1
    months = repeat.every * STEP_MONTHS[repeat.unit]
    begin = anchor.year * MONTHS + anchor.month - 1
    number = max((since.year * MONTHS + since.month - 1 - begin) // months - 1, 0)
    while True:
        year, month = divmod(begin + months * number, MONTHS)
        last = monthrange(year, month + 1)[1]
        yield date(year, month + 1, min(repeat.day or anchor.day, last))
        number += 1
