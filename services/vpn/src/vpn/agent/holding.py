"""The rules of generations: what a request to change the set means, and when it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vpn import node_api
from vpn.domain.desired import Difference, Entry, diff, shared_keys
from vpn.domain.set_hash import SetHash

_EMAIL = re.compile(r"[!-@\[-~]{1,128}")
"""What every core keeps as it is: printable, without capitals, and short."""
FLOW_CHARACTERS_MAX = 64
GENERATION_MAX = 2**62


class RefusedError(Exception):
    """The request changes nothing; `code` is one of node_api's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Holding:
    """The set in memory, its hash, and the highest generation seen."""

    def __init__(self, generation: int, entries: Mapping[str, Entry]) -> None:
        self.generation = generation
        self.entries: dict[str, Entry] = dict(entries)
        self._hash = SetHash.of(self.entries.values())
        self._emails_by_key = {_identity(one): email for email, one in self.entries.items()}

    @property
    def hash(self) -> str:
        return self._hash.hex()

    def plan_set(self, request: node_api.SetRequest) -> Difference:
        """Return what the whole set changes. RefusedError: it is older than what is held."""
        self._check_generation(request.generation)
        new = {one.email: one for one in request.entries}
        if len(new) != len(request.entries):
            raise RefusedError(node_api.INVALID, "an email is given twice")
        for email in shared_keys(request.entries):
            raise RefusedError(node_api.INVALID, f"the key of {email} is another's too")
        _check(request.entries)
        return diff(self.entries, new)

    def plan_change(self, request: node_api.ChangesRequest) -> Difference:
        """Return what the difference changes; nothing, when it was applied before."""
        self._check_generation(request.generation)
        _check(request.put)
        for email in request.remove:
            _check_email(email)
        difference = self._effective(request)
        if request.generation == self.generation:
            if difference:
                raise RefusedError(
                    node_api.OTHER_BASE, "this generation is held with something else"
                )
            return difference
        if request.base_hash != self.hash:
            raise RefusedError(node_api.OTHER_BASE, "the difference is to another set")
        self._refuse_shared_keys(difference)
        return difference

    def _effective(self, request: node_api.ChangesRequest) -> Difference:
        put = {one.email: one for one in request.put}
        if len(put) != len(request.put):
            raise RefusedError(node_api.INVALID, "an email is given twice")
        remove = tuple(email for email in dict.fromkeys(request.remove) if email in self.entries)
        if not put.keys().isdisjoint(request.remove):
            raise RefusedError(node_api.INVALID, "an email is both put and removed")
        changed = tuple(one for one in put.values() if self.entries.get(one.email) != one)
        return Difference(changed, remove)

    def take(self, generation: int, difference: Difference) -> None:
        """Make a planned change the held state."""
        for email in difference.remove:
            self._forget(email)
        for one in difference.put:
            self._forget(one.email)
        for one in difference.put:
            self.entries[one.email] = one
            self._hash.add(one)
            self._emails_by_key[_identity(one)] = one.email
        self.generation = generation

    def _forget(self, email: str) -> None:
        old = self.entries.pop(email, None)
        if old is not None:
            self._hash.remove(old)
            self._emails_by_key.pop(_identity(old), None)

    def _check_generation(self, generation: int) -> None:
        if generation > GENERATION_MAX:
            raise RefusedError(node_api.INVALID, "no generation is as high as that")
        if generation < self.generation:
            raise RefusedError(
                node_api.OLDER_GENERATION, f"{generation} is older than {self.generation}"
            )

    def _refuse_shared_keys(self, difference: Difference) -> None:
        leaving = {*difference.remove, *(one.email for one in difference.put)}
        seen: set[bytes] = set()
        for one in difference.put:
            identity = _identity(one)
            holder = self._emails_by_key.get(identity)
            if identity in seen or (holder is not None and holder not in leaving):
                raise RefusedError(node_api.INVALID, f"the key of {one.email} is another's too")
            seen.add(identity)


def _identity(one: Entry) -> bytes:
    # Bytes 6 and 7 are a route to newer Xray: keys that differ only there are one key.
    return one.key.bytes[:6] + one.key.bytes[8:]


def _check(entries: Iterable[Entry]) -> None:
    for one in entries:
        _check_email(one.email)
        if len(one.flow) > FLOW_CHARACTERS_MAX or not one.flow.isascii():
            raise RefusedError(node_api.INVALID, f"{one.email}: no flow is as long as that")
        if one.expires_at.tzinfo is None:
            raise RefusedError(node_api.INVALID, f"{one.email}: the end has no time zone")


def _check_email(email: str) -> None:
    # What a core would alter or choke on must not get on disk: it would be there at every start.
    if _EMAIL.fullmatch(email) is None:
        raise RefusedError(node_api.INVALID, f"not an email in lower case: {email[:128]!r}")
