"""What a Stars invoice carries: our payment's facts, sealed, so that nobody can write their own."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from billing.domain.payments import Payment
from contracts.ids import PaymentId, UserId

VERSION = "1"
BYTES_MAX = 128
"""Telegram's limit for a payload."""
TAG_BYTES = 16
FIELDS = 7
LINE_ENDS = ("", "\n", "\r\n")
"""A secret made with `echo` was signed with as it is where it came in a variable, its line's end
too; out of a file it comes without."""
Former = Callable[[], tuple[str, ...]]


class Sealed(NamedTuple):
    payment_id: PaymentId
    user_id: UserId
    amount_minor: int
    currency: str
    product_id: str


class Seal:
    """Signs with the first secret, accepts any: subscriptions renew with payloads months old."""

    def __init__(
        self, secret: str | Callable[[], str], previous: tuple[str, ...] | Former = ()
    ) -> None:
        """Either may be asked for at each use instead."""
        self._secret = secret
        self._previous = previous

    @property
    def _keys(self) -> tuple[bytes, ...]:
        secret = self._secret if isinstance(self._secret, str) else self._secret()
        previous = self._previous if isinstance(self._previous, tuple) else self._previous()
        given = (secret, *previous)
        # Nothing is no key: anybody could sign with it.
        bare = filter(None, (each.strip() for each in given))
        also = (each + end for each in bare for end in LINE_ENDS)
        return tuple(each.encode() for each in dict.fromkeys((*given, *also)))

    def sign(self, payment: Payment) -> str:
        facts = ".".join(
            (
                VERSION,
                _text(payment.payment_id.bytes),
                str(payment.user_id),
                str(payment.amount_minor),
                payment.currency,
                payment.product_id,
            )
        )
        payload = f"{facts}.{_tag(self._keys[0], facts)}"
        assert len(payload) <= BYTES_MAX, payload
        return payload

    def open(self, payload: str) -> Sealed | None:
        """What it says, or None: not ours, or changed."""
        facts, _, tag = payload[: BYTES_MAX + 1].rpartition(".")
        fields = facts.split(".")
        if len(fields) != FIELDS - 1 or fields[0] != VERSION or not payload.isascii():
            return None
        if not any(hmac.compare_digest(_tag(key, facts), tag) for key in self._keys):
            return None
        try:
            payment_id = UUID(bytes=urlsafe_b64decode(fields[1] + "=="))
        except (ValueError, BadBase64):
            return None
        return Sealed(
            PaymentId(payment_id), UserId(int(fields[2])), int(fields[3]), fields[4], fields[5]
        )


def _tag(key: bytes, facts: str) -> str:
    return _text(hmac.digest(key, facts.encode(), hashlib.sha256)[:TAG_BYTES])


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
