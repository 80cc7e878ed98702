"""Recurring hints: after a pause they fire once, not once per missed period."""

from __future__ import annotations

from datetime import datetime, timedelta


def next_due(due_at: datetime, period: timedelta, now: datetime) -> datetime:
    """Return the first multiple of the period after `now`, counted from `due_at`."""
    if due_at > now:
        return due_at
    missed = (now - due_at) // period
    return due_at + period * (missed + 1)
