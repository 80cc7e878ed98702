"""What becomes of a timer whose moment has come, on time or ten days later."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from contracts.scheduler import Repeat
from scheduler.domain import calendar
from scheduler.domain.calendar import Rule
from scheduler.domain.settling import DueTimer, settle

DUE = datetime(2026, 11, 11, 8, 0, tzinfo=UTC)
DOWN = timedelta(days=10, hours=3)
SECOND = timedelta(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
DAILY = calendar.first(Rule("Europe/Berlin", repeat=Repeat(unit="day", at="09:00")), DUE, BERLIN)


def due(catch_up: str = "fire", late_max: int = 0, rule: Rule | None = None) -> DueTimer:
    return DueTimer("k", 1, DUE, "s", b"", "", "kind", catch_up, late_max, rule)


@pytest.mark.parametrize(
    ("catch_up", "late_max", "late", "outcome"),
    [
        ("fire", 0, DOWN, "fired"),
        ("skip", 60, timedelta(0), "fired"),
        ("skip", 0, SECOND, "fired"),
        ("skip", 0, 4 * SECOND, "skipped"),
        ("skip", 60, 60 * SECOND, "fired"),
        ("skip", 60, 61 * SECOND, "skipped"),
        ("skip", 60, DOWN, "skipped"),
        ("coalesce", 0, DOWN, "fired"),
    ],
)
def test_a_late_timer_fires_once_or_is_skipped(
    catch_up: str, late_max: int, late: timedelta, outcome: str
) -> None:
    settled = settle(due(catch_up, late_max), DUE + late)

    assert (settled.outcome, settled.state, settled.due_at) == (outcome, outcome, DUE)
    assert settled.fires == (outcome == "fired")


def test_a_superseded_timer_is_recorded_and_does_not_fire() -> None:
    settled = settle(due("coalesce"), DUE + DOWN, superseded=True)

    assert (settled.outcome, settled.state, settled.fires) == ("coalesced", "coalesced", False)


@pytest.mark.parametrize(
    ("catch_up", "superseded", "outcome"),
    [("fire", False, "fired"), ("skip", False, "skipped"), ("coalesce", True, "coalesced")],
)
def test_a_repeating_timer_goes_on_in_its_rhythm_after_ten_days(
    catch_up: str, superseded: bool, outcome: str
) -> None:
    settled = settle(due(catch_up, 60, DAILY.rule), DUE + DOWN, superseded=superseded)

    assert settled.outcome == outcome
    assert settled.goes_on
    assert settled.due_at == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def test_a_rule_that_was_changed_since_moves_it_rather_than_firing_early() -> None:
    """Set for nine o'clock; the zone is behind what it was thought to be."""
    later = Rule("America/New_York", repeat=DAILY.rule.repeat, anchor=DUE.date(), day=DUE.date())

    settled = settle(due(rule=later), DUE)

    assert (settled.outcome, settled.fires) == ("moved", False)
    assert settled.due_at == datetime(2026, 11, 11, 14, 0, tzinfo=UTC)


def test_a_zone_that_is_gone_does_not_stop_the_timer() -> None:
    gone = Rule("Europe/Atlantis", repeat=DAILY.rule.repeat, anchor=DUE.date(), day=DUE.date())

    settled = settle(due(rule=gone), DUE + 2 * timedelta(hours=1))

    assert settled.zone_lost
    assert settled.fires
    assert settled.due_at == datetime(2026, 11, 12, 9, 0, tzinfo=UTC)


def test_a_person_may_fire_it_early_and_its_rhythm_stays() -> None:
    early = DUE - timedelta(days=3, hours=1)

    once = settle(due("skip"), early, forced=True)
    again = settle(due(rule=DAILY.rule), early, forced=True)

    assert (once.fires, once.state, once.due_at) == (True, "fired", early)
    assert (again.fires, again.goes_on) == (True, True)
    assert again.due_at == DUE


def test_fired_early_it_keeps_a_first_time_that_was_set_further_on_than_its_rhythm() -> None:
    """Not before ten past nine on Wednesday, so armed for Thursday: its rhythm alone is sooner."""
    where = ZoneInfo("UTC")
    wanted = Rule("UTC", repeat=Repeat(unit="day", at="09:00"))
    armed = calendar.first(wanted, datetime(2026, 11, 11, 9, 10, tzinfo=UTC), where)
    timer = DueTimer("k", 1, armed.due_at, "s", b"", "", "kind", "fire", 0, armed.rule)

    settled = settle(timer, datetime(2026, 11, 10, 9, 30, tzinfo=UTC), forced=True)

    assert armed.due_at == datetime(2026, 11, 12, 9, 0, tzinfo=UTC)
    assert (settled.fires, settled.due_at) == (True, armed.due_at)
