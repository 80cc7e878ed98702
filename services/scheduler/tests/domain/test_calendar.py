"""Recurrences and quiet hours on wall clocks that jump, in months that end early."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.scheduler import Repeat
from scheduler.domain import calendar
from scheduler.domain.calendar import Rule, due_again, first, following
from scheduler.domain.quiet_hours import QuietHours

ZONES = (
    *("Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Sydney", "UTC"),
    *("Australia/Lord_Howe", "America/Santiago", "Pacific/Apia", "Africa/Casablanca"),
)
CLOCKS = st.times().map(lambda at: at.strftime("%H:%M"))
MOMENTS = st.datetimes(
    datetime.fromisoformat("2010-01-01"),
    datetime.fromisoformat("2035-01-01"),
    timezones=st.just(UTC),
)
REPEATS = st.one_of(
    st.builds(Repeat, unit=st.sampled_from(("day", "week")), at=CLOCKS, every=st.integers(1, 53)),
    st.builds(
        Repeat,
        unit=st.sampled_from(("month", "year")),
        at=CLOCKS,
        every=st.integers(1, 5),
        day=st.integers(0, 31),
    ),
)
QUIET = st.one_of(
    st.just(("", "")), st.tuples(CLOCKS, CLOCKS).filter(lambda pair: pair[0] != pair[1])
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def dues(zone: str, begin: str, count: int, **how: object) -> list[datetime]:
    """The first moments of a recurrence, in local time."""
    quiet = how.pop("quiet", ("", ""))
    where = ZoneInfo(zone)
    rule = Rule(zone, *quiet, repeat=Repeat(**how))
    found = [first(rule, utc(begin), where)]
    while len(found) < count:
        found.append(following(found[-1].rule, found[-1].due_at, where))
    return [each.due_at.astimezone(where) for each in found]


def shown(moments: list[datetime]) -> list[str]:
    return [f"{each:%m-%d %H:%M}" for each in moments]


@pytest.mark.parametrize(
    ("zone", "begin", "at", "expected"),
    [
        (
            "Europe/Berlin",
            "2026-03-27T12:00",
            "02:30",
            ["03-28 02:30", "03-29 03:00", "03-30 02:30"],
        ),
        (
            "Europe/Berlin",
            "2026-10-23T12:00",
            "02:30",
            ["10-24 02:30", "10-25 02:30", "10-26 02:30"],
        ),
        ("America/New_York", "2026-03-07T12:00", "02:00", ["03-08 03:00", "03-09 02:00"]),
        ("Australia/Sydney", "2026-10-02T20:00", "02:15", ["10-04 03:00", "10-05 02:15"]),
        ("Australia/Sydney", "2026-04-03T20:00", "02:15", ["04-05 02:15", "04-06 02:15"]),
        ("America/Santiago", "2026-09-05T12:00", "00:00", ["09-06 01:00", "09-07 00:00"]),
        ("Africa/Cairo", "2026-04-22T23:00", "00:00", ["04-24 01:00", "04-25 00:00"]),
    ],
)
def test_every_day_at_a_time_the_clocks_change(
    zone: str, begin: str, at: str, expected: list[str]
) -> None:
    assert shown(dues(zone, begin, len(expected), unit="day", at=at)) == expected


def test_the_same_local_time_is_kept_over_a_year_of_both_changes() -> None:
    for zone in ("Europe/Berlin", "Australia/Sydney", "America/New_York", "America/Santiago"):
        days = dues(zone, "2026-01-01T00:00", 366, unit="day", at="09:00")

        assert {f"{each:%H:%M}" for each in days} == {"09:00"}
        assert {(b.date() - a.date()).days for a, b in pairwise(days)} == {1}
        assert len({each.utcoffset() for each in days}) == 2


def test_months_end_when_they_end() -> None:
    assert shown(dues("UTC", "2027-01-31T00:00", 6, unit="month", at="10:00")) == [
        "01-31 10:00", "02-28 10:00", "03-31 10:00", "04-30 10:00", "05-31 10:00", "06-30 10:00"
    ]  # fmt: skip


def test_the_last_day_of_a_month_may_be_meant_from_february_on() -> None:
    last = dues("Europe/Berlin", "2028-02-29T00:00", 4, unit="month", at="08:00", day=31)

    assert shown(last) == ["02-29 08:00", "03-31 08:00", "04-30 08:00", "05-31 08:00"]


def test_the_29th_of_february_is_the_28th_in_other_years() -> None:
    years = dues("UTC", "2024-02-29T00:00", 6, unit="year", at="00:00")

    assert [f"{each:%Y-%m-%d}" for each in years] == [
        *("2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28"),
    ]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"unit": "day", "every": 3}, ["11-22", "11-25", "11-28", "12-01"]),
        ({"unit": "week"}, ["11-22", "11-29", "12-06", "12-13"]),
        ({"unit": "week", "every": 2}, ["11-22", "12-06", "12-20", "01-03"]),
        ({"unit": "month", "every": 3, "day": 31}, ["11-30", "02-28", "05-31", "08-31"]),
        ({"unit": "month", "day": 1}, ["12-01", "01-01", "02-01", "03-01"]),
        ({"unit": "year", "every": 2}, ["11-22", "11-22", "11-22", "11-22"]),
    ],
)
def test_every_so_many(how: dict[str, object], expected: list[str]) -> None:
    found = dues("Asia/Kolkata", "2026-11-22T00:00", 4, at="20:00", **how)

    assert [f"{each:%m-%d}" for each in found] == expected


def test_a_pause_does_not_shift_the_rhythm() -> None:
    where = ZoneInfo("Europe/Berlin")
    rule = Rule("Europe/Berlin", repeat=Repeat(unit="day", at="07:00", every=3))
    begin = first(rule, utc("2026-03-20T12:00"), where)

    late = following(begin.rule, begin.due_at + timedelta(days=10), where)

    assert shown([each.due_at.astimezone(where) for each in (begin, late)]) == [
        "03-23 07:00",
        "04-04 07:00",
    ]


@pytest.mark.parametrize(
    ("zone", "moment", "quiet", "expected"),
    [
        ("Europe/Berlin", "2026-06-01T23:30", ("22:00", "09:00"), "06-02 09:00"),
        ("Europe/Berlin", "2026-06-01T20:30", ("22:00", "09:00"), "06-02 09:00"),
        ("Europe/Berlin", "2026-06-01T19:59", ("22:00", "09:00"), "06-01 21:59"),
        ("Europe/Berlin", "2026-06-01T07:00", ("22:00", "09:00"), "06-01 09:00"),
        ("Europe/Berlin", "2026-06-01T10:30", ("12:00", "14:00"), "06-01 14:00"),
        # Their end is jumped over.
        ("Europe/Berlin", "2026-03-29T00:10", ("23:00", "02:30"), "03-29 03:00"),
        # Their end was already shown once when the moment comes.
        ("Europe/Berlin", "2026-10-25T01:15", ("02:00", "02:30"), "10-25 02:30"),
        ("America/Santiago", "2026-09-06T03:00", ("22:00", "00:30"), "09-06 01:00"),
    ],
)
def test_what_falls_into_quiet_hours_is_due_at_their_end(
    zone: str, moment: str, quiet: tuple[str, str], expected: str
) -> None:
    where = ZoneInfo(zone)

    found = first(Rule(zone, *quiet), utc(moment), where)

    assert found.due_at >= utc(moment)
    assert shown([found.due_at.astimezone(where)]) == [expected]


def test_a_recurrence_in_quiet_hours_comes_at_their_end_every_day() -> None:
    days = dues(
        "Europe/Berlin", "2026-03-27T12:00", 4, unit="day", at="23:00", quiet=("22:00", "08:00")
    )

    assert shown(days) == ["03-28 08:00", "03-29 08:00", "03-30 08:00", "03-31 08:00"]


def test_what_was_moved_to_the_end_of_the_night_is_still_to_come_at_night() -> None:
    where = ZoneInfo("Europe/Berlin")
    rule = Rule("Europe/Berlin", "22:00", "08:00", repeat=Repeat(unit="day", at="23:00"))
    begin = first(rule, utc("2026-06-01T12:00"), where)

    at_night = following(begin.rule, utc("2026-06-05T01:00"), where)

    assert at_night.due_at == utc("2026-06-05T06:00")


def test_a_zone_that_changes_its_rules_moves_what_was_armed() -> None:
    """Set while the zone was at +1; since then its government chose +3 (or -2)."""
    before, east, west = (timezone(timedelta(hours=hours)) for hours in (1, 3, -2))
    rule = Rule("X", repeat=Repeat(unit="day", at="09:00"))
    armed = first(rule, utc("2026-11-22T00:00"), before)

    assert armed.due_at == utc("2026-11-22T08:00")
    assert due_again(armed.rule, before) == utc("2026-11-22T08:00")
    assert due_again(armed.rule, east) == utc("2026-11-22T06:00")
    assert due_again(armed.rule, west) == utc("2026-11-22T11:00")
    quiet = first(Rule("X", "22:00", "08:00"), utc("2026-11-22T22:30"), before)
    assert due_again(quiet.rule, west) == utc("2026-11-22T22:30")


@given(
    zone=st.sampled_from(ZONES),
    begin=MOMENTS,
    repeat=REPEATS,
    quiet=QUIET,
    pause=st.integers(0, 400),
)
@settings(max_examples=300, deadline=None)
def test_recurrences_increase_are_never_early_and_never_inside_quiet_hours(
    zone: str, begin: datetime, repeat: Repeat, quiet: tuple[str, str], pause: int
) -> None:
    where = ZoneInfo(zone)
    rule = Rule(zone, *quiet, repeat=repeat)

    found = [first(rule, begin, where)]
    for number in range(5):
        after = found[-1].due_at + timedelta(days=pause if number == 2 else 0)
        found.append(following(found[-1].rule, after, where))
        assert found[-1].due_at > after

    assert found[0].due_at >= begin
    for each in found:
        local = each.due_at.astimezone(where)
        assert each.due_at.tzinfo is UTC
        assert due_again(each.rule, where) == each.due_at
        if quiet[0]:
            assert not QuietHours(*map(time.fromisoformat, quiet)).cover(local.time())
        else:
            assert local.time() >= time.fromisoformat(repeat.at) or local.date() > each.rule.day
    assert all(a.due_at < b.due_at for a, b in pairwise(found))


@given(
    begin=st.dates(date(2010, 1, 1), date(2035, 1, 1)),
    every=st.integers(1, 60),
    number=st.integers(0, 40),
    day=st.integers(0, 31),
)
@settings(max_examples=200, deadline=None)
def test_the_months_after_a_pause_are_those_without_it(
    begin: date, every: int, number: int, day: int
) -> None:
    """Every n-th month counted from the beginning, whatever was missed."""
    rule = Rule("UTC", repeat=Repeat(unit="month", at="12:00", every=every, day=day))
    start = datetime.combine(begin, time(0), UTC)
    one = first(rule, start, UTC)
    for _ in range(number):
        one = following(one.rule, one.due_at, UTC)

    jumped = following(first(rule, start, UTC).rule, one.due_at - timedelta(hours=1), UTC)

    assert jumped.due_at == one.due_at


@given(zone=st.sampled_from(ZONES), moment=MOMENTS, quiet=QUIET.filter(lambda pair: bool(pair[0])))
@settings(max_examples=300, deadline=None)
def test_quiet_hours_move_forward_by_less_than_two_days_or_not_at_all(
    zone: str, moment: datetime, quiet: tuple[str, str]
) -> None:
    where = ZoneInfo(zone)
    hours = QuietHours(*map(time.fromisoformat, quiet))

    moved = hours.moved(moment, where)

    assert moment <= moved < moment + timedelta(days=2)
    assert not hours.cover(moved.astimezone(where).time())
    assert hours.cover(moment.astimezone(where).time()) or moved == moment


def test_steps_and_limits_name_the_same_units() -> None:
    assert {*calendar.STEP_DAYS, *calendar.STEP_MONTHS} == {"day", "week", "month", "year"}
