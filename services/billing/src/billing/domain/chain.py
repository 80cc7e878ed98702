"""The hash chain over transfers: each seal covers the rows after the last one, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

GENESIS = bytes(32)
"""What stands before the first seal."""
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")

SealedRow = tuple[int, int, int, int, str, str, str, UUID | None, str, datetime]
"""user id, number, lot, amount, debit, credit, kind, order id, reason, at: a transfer, whole."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest seal: how many there are, and the digest that stands for all rows below."""

    number: int = 0
    digest: bytes = GENESIS


def extend(previous: bytes, rows: Iterable[SealedRow]) -> bytes:
    """The digest after `rows`, in their order: SHA-256 over the previous digest and each row."""
    digest = hashlib.sha256(previous)
    for row in rows:
        digest.update(_ENCODER.encode(row))
    return digest.digest()
