"""The pace of the machines: learnt durations, servers seen, the wait."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.domain.pace import Pace

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
VALID = timedelta(minutes=15)


@pytest.fixture
def pace():
    return Pace({"a": 10.0, "b": 4.0}, seen_within=VALID)


def test_what_was_never_run_is_expected_to_take_as_long_as_its_first_run(pace):
    assert pace.seconds_of("new") == 0.0

    pace.finished("new", 0.5)

    assert pace.seconds_of("new") == 0.5


def test_a_run_of_no_time_teaches_nothing(pace):
    pace.finished("a", 0)
    pace.finished("a", -1)

    assert pace.seconds_of("a") == 10.0


def test_the_wait_is_the_work_ahead_and_half_of_what_runs(pace):
    wait = pace.eta_seconds("image", {"a": 2, "b": 1}, {"b": 3, "new": 9}, NOW)

    assert wait == 2 * 10 + 4 + 3 * 4 / 2


def test_servers_are_counted_while_they_were_seen_lately(pace):
    pace.started("image", "one", NOW)
    pace.started("image", "two", NOW - TICK)
    pace.started("image", "two", NOW)
    pace.started("image", "three", NOW - TICK)
    pace.started("video", "four", NOW)

    assert pace.servers("image", NOW + VALID - TICK) == 3
    assert pace.servers("image", NOW + VALID) == 2
    assert pace.servers("image", NOW + VALID + TICK) == 1
    assert pace.servers("hosted", NOW) == 1
