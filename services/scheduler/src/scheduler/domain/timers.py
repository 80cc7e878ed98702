"""What a timer may be: limits on its key, subject, body and date."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from contracts import topology
from contracts.scheduler import ScheduleTimer
from scheduler.domain.errors import TimerInvalidError

KEY_CHARACTERS_MAX = 200
BODY_BYTES_MAX = 65_536
AHEAD_MAX = timedelta(days=5 * 366)
_COMMAND = re.compile(r"[a-z]+\.cmd\.[a-z_]+\.v\d+")


def check(timer: ScheduleTimer, now: datetime) -> None:
    """Raise TimerInvalidError, naming the limit. A date in the past is fine: it fires at once."""
    if not 1 <= len(timer.key) <= KEY_CHARACTERS_MAX:
        raise TimerInvalidError(f"a key has 1-{KEY_CHARACTERS_MAX} characters")
    if timer.version < 1:
        raise TimerInvalidError("a version starts at 1")
    if len(timer.fire_body) > BODY_BYTES_MAX:
        raise TimerInvalidError(f"a body has at most {BODY_BYTES_MAX} bytes")
    if timer.due_at > now + AHEAD_MAX:
        raise TimerInvalidError(f"a timer is at most {AHEAD_MAX.days} days ahead")
    owner = timer.fire_subject.split(".")[0]
    if not _COMMAND.fullmatch(timer.fire_subject) or owner not in topology.SERVICES:
        raise TimerInvalidError("a timer fires a command of one of the services")
