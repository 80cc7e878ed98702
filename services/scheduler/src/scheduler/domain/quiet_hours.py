"""Hours in which nothing is due: what falls into them is moved to their end."""

from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo

import msgspec

from scheduler.domain.zones import resolve

DAYS_LOOKED_AT = 3
"""An end may be jumped over, and a zone may leave out a whole day."""


class QuietHours(msgspec.Struct, frozen=True):
    """From `start` until before `end` on the wall clock; over midnight where end is the earlier."""

    start: time
    end: time

    def cover(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def moved(self, moment: datetime, where: tzinfo) -> datetime:
        """Return `moment`, or the end of the quiet hours it falls into; never an earlier one."""
        if not self.cover(_clock(moment, where)):
            return moment
        today = moment.astimezone(where).date()
        ends = sorted(
            resolve(datetime.combine(today + timedelta(days=days), self.end), where, fold=fold)
            for days in range(DAYS_LOOKED_AT)
            for fold in (0, 1)
        )
        return next(end for end in ends if end >= moment and not self.cover(_clock(end, where)))


def _clock(moment: datetime, where: tzinfo) -> time:
    return moment.astimezone(where).time()
