"""Recurring hints: their rhythm, and what is made of those that were missed."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts import topology
from scheduler.domain.ticks import KINDS, DueTick, Terms, command, fired, next_due
from scheduler.main import pace_of
from scheduler.settings import Settings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DOWN = timedelta(days=10)


@pytest.mark.parametrize(
    ("late", "expected"),
    [(-5, -5), (0, 60), (59, 60), (60, 120), (3_600 * 24 * 10 + 1, 3_600 * 24 * 10 + 60)],
)
def test_a_tick_after_a_pause_keeps_its_rhythm(late: int, expected: int) -> None:
    due = NOW - timedelta(seconds=late)

    following = next_due(due, timedelta(seconds=60), NOW)

    assert following == due + timedelta(seconds=expected if late >= 0 else 0)


def names(due: dict[str, timedelta], catch_up: str) -> list[str]:
    """The ticks that fire, of those late by so much."""
    terms = {name: Terms(every=10 * MINUTE, catch_up=catch_up) for name in due}
    ticks = [DueTick(name, 10 * MINUTE, NOW - late) for name, late in due.items()]
    return [tick.name for tick, _ in fired(ticks, terms, NOW)]


def test_after_ten_days_a_tick_fires_once() -> None:
    assert names({"run_audit": DOWN, "check_nodes": DOWN}, "fire") == ["run_audit", "check_nodes"]


def test_after_ten_days_a_tick_that_skips_waits_for_its_next_time() -> None:
    assert names({"send_reminders": DOWN}, "skip") == []
    assert names({"send_reminders": 6 * MINUTE}, "skip") == []
    assert names({"send_reminders": 4 * MINUTE}, "skip") == ["send_reminders"]


def test_after_ten_days_only_the_newest_of_a_group_fires() -> None:
    due = {"converge_nodes": DOWN - 2 * MINUTE, "reconcile_nodes": DOWN, "check_nodes": DOWN}

    assert names(due, "coalesce") == ["converge_nodes", "check_nodes"]
    assert names(dict.fromkeys(due, DOWN), "coalesce") == ["converge_nodes", "check_nodes"]


@pytest.mark.parametrize("name", KINDS)
def test_every_tick_is_a_command_that_says_when_it_was_due(name: str) -> None:
    sent = command(name, NOW)

    assert sent.due_at == NOW
    assert topology.stream_of(sent.subject) in {service.upper() for service in topology.SERVICES}
    assert ".cmd." in sent.subject


def test_the_settings_are_those_of_the_design() -> None:
    ticks = pace_of(Settings(database_url="unused")).ticks

    assert {name: terms.every.total_seconds() for name, terms in ticks.items()} == {
        "sweep_subscriptions": 60,
        "renew_subscriptions": 600,
        "send_reminders": 45 * 60,
        "renew_trials": 300,
        "converge_nodes": 300,
        "reconcile_nodes": 600,
        "check_nodes": 600,
        "watch_payments": 30,
        "read_stars_statement": 600,
        "sweep_media": 86_400,
        "run_audit": 3_600,
    }
    assert {name for name, terms in ticks.items() if terms.catch_up != "fire"} == {
        "converge_nodes",
        "reconcile_nodes",
    }
