"""Times on wall clocks: jumped over, shown twice, or in a zone nobody knows."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.errors import TimerInvalidError
from scheduler.domain.zones import resolve, zone

ZONES = (
    *("Europe/Berlin", "America/New_York", "Europe/London", "Africa/Cairo", "Asia/Beirut"),
    *("Australia/Sydney", "Australia/Lord_Howe", "America/Santiago", "Pacific/Auckland"),
    *("Pacific/Apia", "Africa/Casablanca", "Asia/Kolkata", "Asia/Kathmandu", "UTC"),
)
JUMPED_OVER = [
    ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:00"),
    ("America/New_York", "2026-03-08 02:00", "2026-03-08T07:00"),
    ("America/New_York", "2026-03-08 02:59", "2026-03-08T07:00"),
    ("Australia/Sydney", "2026-10-04 02:15", "2026-10-03T16:00"),
    ("Pacific/Auckland", "2026-09-27 02:30", "2026-09-26T14:00"),
    # At midnight: the day begins at one.
    ("America/Santiago", "2026-09-06 00:30", "2026-09-06T04:00"),
    ("Africa/Cairo", "2026-04-24 00:00", "2026-04-23T22:00"),
    # Half an hour.
    ("Australia/Lord_Howe", "2026-10-04 02:10", "2026-10-03T15:30"),
    # A whole day, the 30th, was left out.
    ("Pacific/Apia", "2011-12-30 10:00", "2011-12-30T10:00"),
]
SHOWN_TWICE = [
    ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25T00:30", 60),
    ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30", 60),
    ("Australia/Sydney", "2026-04-05 02:30", "2026-04-04T15:30", 60),
    ("America/Santiago", "2026-04-04 23:30", "2026-04-05T02:30", 60),
    ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04T14:45", 30),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("name", "local", "moment"), JUMPED_OVER)
def test_a_time_that_is_jumped_over_is_the_first_moment_after_it(
    name: str, local: str, moment: str
) -> None:
    assert resolve(datetime.fromisoformat(local), zone(name)) == utc(moment)


@pytest.mark.parametrize(("name", "local", "moment", "minutes"), SHOWN_TWICE)
def test_a_time_that_is_shown_twice_is_its_first(
    name: str, local: str, moment: str, minutes: int
) -> None:
    where = zone(name)

    assert resolve(datetime.fromisoformat(local), where) == utc(moment)
    second = resolve(datetime.fromisoformat(local), where, fold=1)
    assert second == utc(moment) + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "/etc/localtime", "localtime", "x\0"],
)
def test_a_zone_nobody_knows_is_refused_in_words(name: str) -> None:
    with pytest.raises(TimerInvalidError, match="time zone"):
        zone(name)


@given(
    name=st.sampled_from(ZONES),
    local=st.datetimes(
        datetime.fromisoformat("2005-01-01"), datetime.fromisoformat("2040-01-01")
    ).map(lambda moment: moment.replace(second=0, microsecond=0)),
)
@settings(max_examples=400, deadline=None)
def test_a_clock_at_the_moment_shows_the_time_or_one_just_jumped_to(
    name: str, local: datetime
) -> None:
    where = ZoneInfo(name)

    moment = resolve(local, where)

    shown = moment.astimezone(where).replace(tzinfo=None, fold=0)
    if shown != local:
        just_before = (moment - timedelta(seconds=1)).astimezone(where).replace(tzinfo=None, fold=0)
        assert just_before < local < shown
