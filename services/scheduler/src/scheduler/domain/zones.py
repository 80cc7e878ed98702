"""From a time on a wall clock somewhere to the one moment it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from scheduler.domain.errors import TimerInvalidError

NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})
"""What a machine's own folder of zones may hold besides zones."""
_SECOND = timedelta(seconds=1)


def zone(name: str) -> ZoneInfo:
    """Return a zone by its IANA name; raise TimerInvalidError where there is none."""
    if name not in _names():
        raise TimerInvalidError("the time zone is not an IANA name")
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    # Asked first: ZoneInfo itself would open whatever file a name leads to.
    return frozenset(available_timezones()) - NO_PLACES


def resolve(local: datetime, where: tzinfo, *, fold: int = 0) -> datetime:
    """Return the moment (UTC) at which clocks in a zone show `local`, which has no zone.

    Where they show it twice: the first time, or with `fold=1` the second. Where they jump over
    it: the first moment after the jump.
    """
    moment = local.replace(tzinfo=where, fold=fold).astimezone(UTC)
    if moment.astimezone(where).replace(tzinfo=None, fold=0) == local.replace(fold=0):
        return moment
    return _end_of_jump(local, where)


def _end_of_jump(local: datetime, where: tzinfo) -> datetime:
    # Inside a jump the two folds use the offsets before and after it: it lies between both.
    after = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    before = local.replace(tzinfo=where, fold=1).astimezone(UTC)
    offset = after.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(where).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
