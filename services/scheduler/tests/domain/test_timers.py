"""What may be set as a timer, and what several commands about one key come to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import scheduler
from contracts.scheduler import CancelTimer, Repeat, ScheduleTimer
from scheduler.domain import timers
from scheduler.domain.errors import TimerInvalidError
from scheduler.domain.timers import Change, KindTerms, latest, planned, tombstone

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SUBJECT = "billing.cmd.renew_trials.v1"
DAILY = Repeat(unit="day", at="09:00")
BERLIN = "Europe/Berlin"
GOLDEN = Path(__file__).parents[4] / "libs/contracts/tests/golden"


def timer(**changes: object) -> ScheduleTimer:
    fields = {"key": "k", "version": 1, "due_at": NOW, "fire_subject": SUBJECT, "fire_body": b""}
    return ScheduleTimer(**{**fields, **changes})


def plan(command: ScheduleTimer, **kinds: KindTerms) -> Change:
    return planned(command, NOW, traceparent="here", kinds=kinds)


def test_a_plain_timer_is_due_when_it_says_and_fires_however_late() -> None:
    change = plan(timer(due_at=NOW - timedelta(days=9)))

    assert change.due_at == NOW - timedelta(days=9)
    assert (change.kind, change.catch_up, change.rule) == (SUBJECT, "fire", None)
    assert change.traceparent == "here"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": ""}, "key"),
        ({"key": "k" * 201}, "key"),
        ({"key": "a\0b"}, "key"),
        ({"version": 0}, "version"),
        ({"version": 2**63}, "version"),
        ({"fire_body": b"x" * 65_537}, "body"),
        ({"due_at": NOW + timedelta(days=2000)}, "ahead"),
        ({"due_at": NOW.replace(tzinfo=None)}, "offset"),
        ({"due_at": datetime(1, 1, 1, tzinfo=UTC)}, "1970"),
        ({"fire_subject": "billing.evt.order_completed.v1"}, "command"),
        ({"fire_subject": "elsewhere.cmd.x.v1"}, "command"),
        ({"fire_subject": "$JS.API.STREAM.DELETE.EVENTS"}, "command"),
        ({"kind": "k" * 101}, "kind"),
        ({"kind": "a\nb"}, "kind"),
        ({"catch_up": "later"}, "catch_up"),
        ({"late_max_seconds": 5}, "late_max_seconds"),
        ({"catch_up": "skip", "late_max_seconds": -1}, "late_max_seconds"),
        ({"group": "g"}, "coalesce"),
        ({"catch_up": "coalesce"}, "group"),
        ({"quiet_from": "22:00", "quiet_until": "09:00"}, "time zone"),
        ({"time_zone": "Mars/Olympus"}, "time zone"),
        ({"time_zone": BERLIN, "quiet_from": "22:00"}, "quiet"),
        ({"time_zone": BERLIN, "quiet_from": "22:00", "quiet_until": "22:00"}, "quiet"),
        ({"time_zone": BERLIN, "quiet_from": "22:00", "quiet_until": "24:00"}, "quiet"),
        ({"repeat": DAILY}, "time zone"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="hour", at="09:00")}, "unit"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="day", at="9:00")}, "HH:MM"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="day", at="09:00", every=0)}, "every"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="year", at="09:00", every=6)}, "every"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="day", at="09:00", day=3)}, "day"),
        ({"time_zone": BERLIN, "repeat": Repeat(unit="month", at="09:00", day=32)}, "day"),
    ],
)
def test_a_timer_outside_the_limits_is_refused_in_words(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(TimerInvalidError, match=reason):
        plan(timer(**changes))


def test_what_a_kind_does_when_late_holds_for_timers_that_do_not_say() -> None:
    terms = KindTerms(catch_up="skip", late_max_seconds=60)
    kinds = {SUBJECT: terms}

    unsaid, said, grouped = (
        planned(timer(**more), NOW, traceparent="", kinds=kinds)
        for more in ({}, {"catch_up": "fire"}, {"catch_up": "coalesce", "group": "g"})
    )

    assert (unsaid.catch_up, unsaid.late_max_seconds) == ("skip", 60)
    assert (said.catch_up, said.late_max_seconds) == ("fire", 0)
    assert (grouped.catch_up, grouped.late_max_seconds) == ("coalesce", 0)


def test_a_calendar_moves_the_due_moment_forward() -> None:
    night = {"time_zone": BERLIN, "quiet_from": "22:00", "quiet_until": "09:00"}

    moved = plan(timer(due_at=NOW + timedelta(hours=12), **night))
    daily = plan(timer(time_zone=BERLIN, repeat=DAILY))

    assert moved.due_at == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    assert daily.due_at == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def test_a_trace_that_cannot_be_kept_is_left_out() -> None:
    assert plan(timer(traceparent="a\0b")).traceparent == ""
    assert plan(timer(traceparent="x" * 1_000)).traceparent == ""


class Row:
    """A key's row, changed one command at a time as CHANGE does it."""

    def __init__(self, version: int = 0, state: str = "") -> None:
        self.version, self.state, self.due_at = version, state, NOW

    def apply(self, change: Change) -> None:
        newer = change.version > self.version
        cancels = (
            change.version == self.version
            and change.state == timers.CANCELLED
            and self.state == timers.ARMED
        )
        if newer or cancels:
            self.version, self.state = change.version, change.state
            self.due_at = change.due_at if change.state == timers.ARMED else self.due_at

    def seen(self) -> tuple[object, ...]:
        return self.version, self.state, self.due_at if self.state == timers.ARMED else None


COMMANDS = st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.integers(0, 3)), max_size=8)


@given(
    commands=COMMANDS,
    version=st.integers(0, 5),
    state=st.sampled_from(("armed", "fired", "cancelled")),
)
def test_one_change_per_key_comes_to_what_its_commands_come_to(
    commands: list[tuple[bool, int, int]], version: int, state: str
) -> None:
    changes = [
        plan(timer(version=number, due_at=NOW + timedelta(hours=hours)))
        if arms
        else tombstone(CancelTimer(key="k", version=number), NOW)
        for arms, number, hours in commands
    ]
    one_by_one, at_once = Row(version, state), Row(version, state)
    for change in changes:
        one_by_one.apply(change)
    for change in latest(changes):
        at_once.apply(change)

    assert at_once.seen() == one_by_one.seen()
    assert len(latest(changes)) == bool(changes)


def test_messages_of_before_these_options_are_still_what_they_were() -> None:
    for kind in (scheduler.ScheduleTimer, scheduler.CancelTimer, scheduler.TimerRejected):
        old = (GOLDEN / f"{kind.subject}.msgpack").read_bytes()

        assert kind.decode(old).encode() == old


def test_every_option_survives_the_wire() -> None:
    full = timer(
        kind="vpn.end",
        catch_up="skip",
        late_max_seconds=60,
        time_zone=BERLIN,
        quiet_from="22:00",
        quiet_until="09:00",
        repeat=Repeat(unit="month", at="09:00", every=2, day=31),
    )

    assert ScheduleTimer.decode(full.encode()) == full
