"""What may be set as a timer, and when a tick is due again."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.scheduler import ScheduleTimer
from scheduler.domain import timers
from scheduler.domain.errors import TimerInvalidError
from scheduler.domain.ticks import next_due

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def timer(**changes: object) -> ScheduleTimer:
    fields = {
        "key": "k",
        "version": 1,
        "due_at": NOW,
        "fire_subject": "billing.cmd.renew_trials.v1",
        "fire_body": b"",
    }
    return ScheduleTimer(**{**fields, **changes})


def test_a_timer_in_the_past_is_fine() -> None:
    timers.check(timer(due_at=NOW - timedelta(days=9)), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": "k" * 201},
        {"version": 0},
        {"fire_body": b"x" * 65_537},
        {"due_at": NOW + timedelta(days=2000)},
        {"fire_subject": "billing.evt.order_completed.v1"},
        {"fire_subject": "elsewhere.cmd.x.v1"},
        {"fire_subject": "$JS.API.STREAM.DELETE.EVENTS"},
    ],
)
def test_a_timer_outside_the_limits_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(TimerInvalidError):
        timers.check(timer(**changes), NOW)


@pytest.mark.parametrize(
    ("late", "expected"),
    [(-5, -5), (0, 60), (59, 60), (60, 120), (3_600 * 24 * 10 + 1, 3_600 * 24 * 10 + 60)],
)
def test_a_tick_after_a_pause_fires_once_and_keeps_its_rhythm(late: int, expected: int) -> None:
    due = NOW - timedelta(seconds=late)

    following = next_due(due, timedelta(seconds=60), NOW)

    assert following == due + timedelta(seconds=expected if late >= 0 else 0)
