"""Moments people send: one without a time zone could be any of a day's, so it is none."""

from __future__ import annotations

from datetime import datetime

from billing.domain.errors import InvalidError
from contracts.envelope import Message


def check(message: Message) -> None:
    """Raises InvalidError for a moment without a time zone."""
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, datetime) and value.tzinfo is None:
            raise InvalidError(f"{name}: a moment needs a time zone")
