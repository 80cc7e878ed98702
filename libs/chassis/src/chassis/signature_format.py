"""What a signature covers and how it is written: hashes of messages, a tree over them, a claim."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from contracts.envelope import HEADER_ID, HEADER_SIGNATURE

HASH_BYTES = 32
SIGNATURE_BYTES = 64
ARITY = 4
"""Of the hash tree: 64 messages are three hashes deep. With two it would be six."""
DEPTH_MAX = 5
LEVEL_BYTES = (ARITY - 1) * HASH_BYTES
_COVERED = frozenset((HEADER_ID, "KV-Operation"))
_OURS = "Vitrine-"
_LEAF, _NODE, _ROOT = b"\0vitrine message 1", b"\1", b"vitrine signature 1\0"
_PAD = bytes(HASH_BYTES)
_PLAIN, _IN_TREE = 3, 5
_sha256 = hashlib.sha256


class Claim(NamedTuple):
    """What a header says, not yet proven: `<party>.<key id>.<signature>[.<place>.<way up>]`."""

    party: str
    key: str
    signature: bytes
    place: int
    path: bytes

    @classmethod
    def parse(cls, value: str) -> Claim:
        """Raises ValueError."""
        parts = value.split(".")
        if len(parts) not in (_PLAIN, _IN_TREE):
            raise ValueError("not a signature")
        signature = _bytes(parts[2])
        if len(signature) != SIGNATURE_BYTES:
            raise ValueError("not a signature")
        if len(parts) == _PLAIN:
            return cls(parts[0], parts[1], signature, 0, b"")
        place, path = int(parts[3]), _bytes(parts[4])
        depth, rest = divmod(len(path), LEVEL_BYTES)
        if rest or not 0 < depth <= DEPTH_MAX or not 0 <= place < ARITY**depth:
            raise ValueError("not a place in a tree")
        return cls(parts[0], parts[1], signature, place, path)

    def climb(self, found: bytes, proven: Collection[bytes]) -> list[bytes]:
        """Return a message's hash and all that is proven with it, up to what is proven already.

        The last one is that, or the root.
        """
        place, path = self.place, self.path
        hashes = [found]
        for start in range(0, len(path), LEVEL_BYTES):
            place, at = divmod(place, ARITY)
            group = [path[each : each + HASH_BYTES] for each in _neighbours(start)]
            hashes += group
            group.insert(at, found)
            found = _sha256(_NODE + b"".join(group)).digest()
            hashes.append(found)
            if found in proven:
                break
        return hashes


def _neighbours(start: int) -> range:
    return range(start, start + LEVEL_BYTES, HASH_BYTES)


def _bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def signed_text(party: str, key: str, root: bytes) -> bytes:
    """What is signed. Neither a party nor a key id has a NUL in it."""
    return b"%b%b\0%b\0%b" % (_ROOT, party.encode(), key.encode(), root)


def leaf(subject: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Hash a message: its subject, the headers that mean something, its body.

    Written as NATS writes it, and as unambiguous: neither a subject nor a header has CRLF in it.
    A trace is not covered: it may be changed on the way, and decides nothing.
    """
    covered = [
        # What travels in a header arrives without the space around it.
        f"{name}:{value.strip()}"
        for name, value in headers.items()
        if (name[:8] == _OURS and name != HEADER_SIGNATURE) or name in _COVERED
    ]
    covered.sort()
    head = "\r\n".join((subject, *covered, "\r\n"))
    return _sha256(_LEAF + head.encode() + body).digest()


def grow(leaves: list[bytes]) -> list[list[bytes]]:
    """Return a hash tree from its leaves up, its gaps filled with what nothing hashes to."""
    tree = [leaves]
    while len(tree[-1]) > 1:
        below = tree[-1]
        below += [_PAD] * (-len(below) % ARITY)
        groups = range(0, len(below), ARITY)
        tree.append([_sha256(_NODE + b"".join(below[at : at + ARITY])).digest() for at in groups])
    return tree


def ways_up(tree: Sequence[Sequence[bytes]]) -> list[str]:
    """Return what each message adds to its header: its place, and its neighbours at every level.

    A level's neighbours are a multiple of three bytes, so their texts can be put together.
    """
    if len(tree) == 1:
        return [""]
    above = [""]
    for level in reversed(tree[:-1]):
        above = [_text_of(level, at) + above[at // ARITY] for at in range(len(level))]
    return [f".{place}.{path}" for place, path in enumerate(above)]


def _text_of(level: Sequence[bytes], at: int) -> str:
    first = at - at % ARITY
    beside = (*level[first:at], *level[at + 1 : first + ARITY])
    return binascii.b2a_base64(b"".join(beside), newline=False).decode()
