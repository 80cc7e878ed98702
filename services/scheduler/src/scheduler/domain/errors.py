"""Why a timer is refused."""

from __future__ import annotations

from contracts import errors


class TimerInvalidError(errors.RefusalError):
    """The timer's key, subject, body or date is outside the limits."""

    code = errors.INVALID
