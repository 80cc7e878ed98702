"""What a timer may be: limits on what it says, and from its words the moment it is due."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from contracts import producers
from contracts.scheduler import (
    CATCH_UP_COALESCE,
    CATCH_UP_FIRE,
    CATCH_UP_SKIP,
    UNIT_DAY,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_YEAR,
    CancelTimer,
    Repeat,
    ScheduleTimer,
)
from scheduler.domain import calendar
from scheduler.domain.calendar import Rule
from scheduler.domain.errors import TimerInvalidError
from scheduler.domain.zones import zone

ARMED = "armed"
FIRED = "fired"
CANCELLED = "cancelled"
SKIPPED = "skipped"
COALESCED = "coalesced"

KEY_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 100
VERSION_MAX = 2**63 - 1
BODY_BYTES_MAX = 65_536
LATE_SECONDS_MAX = 366 * 86_400
TRACE_CHARACTERS_MAX = 100
AHEAD_MAX = timedelta(days=5 * 366)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
EVERY_MAX = {UNIT_DAY: 366, UNIT_WEEK: 53, UNIT_MONTH: 60, UNIT_YEAR: 5}
DAY_MAX = 31
SCHEDULER = "scheduler"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class KindTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of a kind. `per_second` 0: no limit."""

    per_second: float = 0.0
    catch_up: str = CATCH_UP_FIRE
    late_max_seconds: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a command makes of a key: armed, or a tombstone at its version."""

    key: str
    version: int
    state: str
    due_at: datetime
    fire_subject: str = ""
    fire_body: bytes = b""
    traceparent: str = ""
    kind: str = ""
    catch_up: str = CATCH_UP_FIRE
    late_max_seconds: int = 0
    group: str = ""
    rule: Rule | None = None


def planned(
    timer: ScheduleTimer, now: datetime, *, traceparent: str, kinds: Mapping[str, KindTerms]
) -> Change:
    """Return what arming a timer means; raise TimerInvalidError, naming the limit.

    A date in the past is fine: it fires at once, or as its catch-up says.
    """
    _check(timer, now)
    kind = timer.kind or timer.fire_subject
    terms = kinds.get(kind, KindTerms())
    due_at, rule = timer.due_at.astimezone(UTC), None
    if timer.time_zone:
        occurrence = _on_calendar(timer, due_at)
        due_at, rule = occurrence.due_at, occurrence.rule
        _refuse_unless(due_at <= now + AHEAD_MAX * 2, "a timer's first time is too far ahead")
    return Change(
        key=timer.key,
        version=timer.version,
        state=ARMED,
        due_at=due_at,
        fire_subject=timer.fire_subject,
        fire_body=timer.fire_body,
        traceparent=_clean(timer.traceparent or traceparent),
        kind=kind,
        catch_up=timer.catch_up or (CATCH_UP_FIRE if timer.group else terms.catch_up),
        late_max_seconds=timer.late_max_seconds if timer.catch_up else terms.late_max_seconds,
        group=timer.group,
        rule=rule,
    )


def tombstone(command: CancelTimer, now: datetime) -> Change:
    """Return what cancelling means; raise TimerInvalidError, naming the limit."""
    _check_key(command.key, command.version)
    return Change(key=command.key, version=command.version, state=CANCELLED, due_at=now)


def latest(changes: list[Change]) -> list[Change]:
    """Return one change per key, by key: what they come to in whatever order they are applied.

    A higher version wins; of one version a cancel wins over arming, else the first.
    """
    chosen: dict[str, Change] = {}
    for change in changes:
        known = chosen.get(change.key)
        if known is None or _rank(change) > _rank(known):
            chosen[change.key] = change
    return [chosen[key] for key in sorted(chosen)]


def _rank(change: Change) -> tuple[int, bool]:
    return change.version, change.state == CANCELLED


def refuse_borrowed(requester: str, timer: ScheduleTimer) -> None:
    """Raise TimerInvalidError for what the requester may not have the scheduler say."""
    _refuse_unless(
        producers.may_have_fired(requester, timer.fire_subject),
        f"{requester} may not have {timer.fire_subject} sent",
    )


def _on_calendar(timer: ScheduleTimer, due_at: datetime) -> calendar.Occurrence:
    where = zone(timer.time_zone)
    rule = Rule(
        time_zone=timer.time_zone,
        quiet_from=timer.quiet_from,
        quiet_until=timer.quiet_until,
        repeat=timer.repeat,
    )
    return calendar.first(rule, due_at, where)


def _check(timer: ScheduleTimer, now: datetime) -> None:
    _check_key(timer.key, timer.version)
    _refuse_unless(
        len(timer.fire_body) <= BODY_BYTES_MAX, f"a body has at most {BODY_BYTES_MAX} bytes"
    )
    _refuse_unless(timer.due_at.tzinfo is not None, "a due moment says its offset from UTC")
    _refuse_unless(timer.due_at >= EARLIEST, f"a timer is due after {EARLIEST:%Y}")
    _refuse_unless(
        timer.due_at <= now + AHEAD_MAX, f"a timer is at most {AHEAD_MAX.days} days ahead"
    )
    # NATS would refuse the firing itself, and the process would end by it.
    _refuse_unless(
        SCHEDULER in producers.COMMANDS.get(timer.fire_subject, ()),
        "a timer fires a hint, one of the commands that the scheduler may send",
    )
    for name in (timer.kind, timer.group):
        _refuse_unless(
            len(name) <= NAME_CHARACTERS_MAX and (name.isprintable() or not name),
            f"kind and group have at most {NAME_CHARACTERS_MAX} printable characters",
        )
    _check_catch_up(timer)
    _check_calendar(timer)


def _check_key(key: str, version: int) -> None:
    _refuse_unless(
        1 <= len(key) <= KEY_CHARACTERS_MAX and key.isprintable(),
        f"a key has 1-{KEY_CHARACTERS_MAX} printable characters",
    )
    _refuse_unless(1 <= version <= VERSION_MAX, "a version starts at 1")


def _check_catch_up(timer: ScheduleTimer) -> None:
    known = ("", CATCH_UP_FIRE, CATCH_UP_SKIP, CATCH_UP_COALESCE)
    _refuse_unless(timer.catch_up in known, f"catch_up is one of {', '.join(known[1:])}")
    _refuse_unless(
        0 <= timer.late_max_seconds <= LATE_SECONDS_MAX
        and (timer.late_max_seconds == 0 or timer.catch_up == CATCH_UP_SKIP),
        f"late_max_seconds is for skip, and at most {LATE_SECONDS_MAX}",
    )
    _refuse_unless(
        bool(timer.group) == (timer.catch_up == CATCH_UP_COALESCE),
        "a group and coalesce need each other",
    )


def _check_calendar(timer: ScheduleTimer) -> None:
    quiet = (timer.quiet_from, timer.quiet_until)
    if timer.repeat is not None or any(quiet):
        _refuse_unless(bool(timer.time_zone), "what is local needs a time zone")
    if any(quiet):
        _refuse_unless(
            all(_CLOCK.fullmatch(each) for each in quiet) and quiet[0] != quiet[1],
            "quiet hours are two different times of the form HH:MM",
        )
    if timer.time_zone:
        zone(timer.time_zone)
    if timer.repeat is not None:
        _check_repeat(timer.repeat)


def _check_repeat(repeat: Repeat) -> None:
    _refuse_unless(repeat.unit in EVERY_MAX, f"a unit is one of {', '.join(EVERY_MAX)}")
    _refuse_unless(
        1 <= repeat.every <= EVERY_MAX[repeat.unit],
        f"every {repeat.unit}: 1-{EVERY_MAX[repeat.unit]}",
    )
    _refuse_unless(bool(_CLOCK.fullmatch(repeat.at)), "a repeat is at a time of the form HH:MM")
    _refuse_unless(
        0 <= repeat.day <= DAY_MAX and (repeat.day == 0 or repeat.unit in {UNIT_MONTH, UNIT_YEAR}),
        f"a day of a month or year is 1-{DAY_MAX}",
    )


def _refuse_unless(fine: bool, reason: str) -> None:
    if not fine:
        raise TimerInvalidError(reason)


def _clean(traceparent: str) -> str:
    """A trace is a help, never a reason to refuse: what cannot be kept is left out."""
    short = len(traceparent) <= TRACE_CHARACTERS_MAX and traceparent.isprintable()
    return traceparent if short else ""
