"""The daily draw: a prize everybody can recompute once the day's seed is told."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from billing.domain.quotas import day_start
from contracts.ids import UserId

SEED_BYTES = 32
WORD_BYTES = 8
NUMBERS = 100
_WORDS_USED = (1 << 8 * WORD_BYTES) // NUMBERS * NUMBERS
"""Words from here on are drawn again: without that the low numbers would win a little oftener."""

PRIZES = (("SSR", 5), ("SR", 20), ("R", 50), ("C", NUMBERS))
"""(prize, the first number that no longer wins it): 5, 15, 30 and 50 numbers of a hundred."""


def commitment_of(seed: bytes) -> str:
    """What is published before the day; the seed told after it must give this again."""
    return hashlib.sha256(seed).hexdigest()


def number_of(seed: bytes, user_id: UserId, day: date) -> int:
    """A number 0-99, each exactly as likely as any other, from the seed, the person and the day."""
    text = f"{user_id}:{day.isoformat()}"
    for block in count():
        message = f"{text}:{block}" if block else text
        digest = hmac.digest(seed, message.encode(), "sha256")
        for start in range(0, len(digest), WORD_BYTES):
            word = int.from_bytes(digest[start : start + WORD_BYTES], "big")
            if word < _WORDS_USED:
                return word % NUMBERS
    raise AssertionError("counting does not end")


def prize_of(number: int) -> str:
    return next(prize for prize, end in PRIZES if number < end)


def discount_key(day: date) -> str:
    return f"draw:{day.isoformat()}"


def valid_until(day: date, zone: ZoneInfo) -> datetime:
    """The shop's next midnight, in UTC: a day of 23 or 25 hours ends when it ends."""
    return day_start(day + timedelta(days=1), zone).astimezone(UTC)
