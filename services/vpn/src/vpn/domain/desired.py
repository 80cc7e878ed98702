"""Who should be on a node: one entry per person, and the difference between two sets of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from uuid import UUID

import msgspec


class Entry(msgspec.Struct, frozen=True, order=False):
    """One person's right to pass: the key under an email, until a moment.

    `email` is the subscription's id in lower case; the core compares it without case and allows
    one key per email, so it is the entry's identity.
    """

    email: str
    key: UUID
    expires_at: datetime
    flow: str = ""

    @property
    def epoch_seconds(self) -> int:
        """The end in whole seconds: what the set hash and the wire agree on."""
        return int(self.expires_at.timestamp())

    def same_access(self, other: Entry) -> bool:
        """Whether a core that holds `other` serves this one too: at most the end differs."""
        return self.key == other.key and self.flow == other.flow


def entry(email: str, key: UUID, expires_at: datetime, flow: str = "") -> Entry:
    """Return an entry in its one canonical form: lower case, UTC, whole seconds."""
    if expires_at.tzinfo is None:
        raise ValueError("expires_at must be aware")
    whole = expires_at.astimezone(UTC).replace(microsecond=0)
    return Entry(email.lower(), key, whole, flow)


class Difference(msgspec.Struct, frozen=True):
    """What turns one set into another. `put` holds new and altered entries."""

    put: tuple[Entry, ...]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


def by_email(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return the entries by their identity; a later one wins."""
    return {one.email: one for one in entries}


def diff(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Difference:
    """Return what must be put and removed to turn `old` into `new`."""
    put = tuple(one for email, one in new.items() if old.get(email) != one)
    remove = tuple(email for email in old if email not in new)
    return Difference(put, remove)


def apply(old: Mapping[str, Entry], change: Difference) -> dict[str, Entry]:
    """Return the set after the change; removals come before puts."""
    result = dict(old)
    for email in change.remove:
        result.pop(email, None)
    for one in change.put:
        result[one.email] = one
    return result


def identity(key: UUID) -> bytes:
    """What a core tells a key by: newer Xray reads its bytes 6 and 7 as a route."""
    return key.bytes[:6] + key.bytes[8:]


def shared_keys(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield emails whose key another entry has too: a core would serve only one of them."""
    seen: set[bytes] = set()
    for one in entries:
        if identity(one.key) in seen:
            yield one.email
        seen.add(identity(one.key))
