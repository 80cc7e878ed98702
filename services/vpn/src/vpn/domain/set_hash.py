"""The hash of a set of entries that does not depend on their order and is kept up in O(1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Self

from vpn.domain.desired import Entry

DIGEST_BYTES = 16
MODULUS = 1 << (8 * DIGEST_BYTES)
EMPTY = "0" * (2 * DIGEST_BYTES)


def digest(entry: Entry) -> int:
    """Return the entry's 128-bit share of its set's hash."""
    text = f"{entry.email}|{entry.key}|{entry.epoch_seconds}|{entry.flow}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest(), "big")


class SetHash:
    """A running hash: the sum of digests modulo 2**128, so that adding and removing commute."""

    __slots__ = ("value",)

    def __init__(self, value: int = 0) -> None:
        self.value = value % MODULUS

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        return cls(sum(map(digest, entries)))

    @classmethod
    def from_hex(cls, text: str) -> Self:
        return cls(int(text, 16))

    def add(self, entry: Entry) -> None:
        self.value = (self.value + digest(entry)) % MODULUS

    def remove(self, entry: Entry) -> None:
        self.value = (self.value - digest(entry)) % MODULUS

    def copy(self) -> Self:
        return type(self)(self.value)

    def hex(self) -> str:
        """Return the hash as 32 hexadecimal digits."""
        return f"{self.value:0{2 * DIGEST_BYTES}x}"


def set_hash(entries: Iterable[Entry]) -> str:
    """Return the hash of a whole set."""
    return SetHash.of(entries).hex()
