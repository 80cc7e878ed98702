"""The error family whose answer is 'try again later'; refusals live in contracts.errors."""

from __future__ import annotations

from datetime import timedelta


class TransientError(Exception):
    """The world is not ready (network, leader election, lock): nack with backoff, bounded.

    `retry_after` is what the other side asked for, if it said so.
    """

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ConfigurationError(Exception):
    """The process cannot run as configured; the sentence says what to change. Never retried."""
