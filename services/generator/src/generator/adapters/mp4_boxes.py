"""The boxes an MP4 is made of (ISO/IEC 14496-12 §4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from generator.adapters.clips import ClipError, number, taken

Parts = dict[bytes, list[memoryview]]
ROWS_MAX = 1_000_000
"""Of a table: hours of sound. More would take memory that no result is worth."""


def placed(view: memoryview) -> Iterator[tuple[int, bytes, memoryview]]:
    at = 0
    while at + 8 <= len(view):  # four bytes of nothing may follow the last one
        size, head = number(view, at, 4), 8
        kind = bytes(taken(view, at + 4, 4))
        if size == 1:
            size, head = number(view, at + 8, 8), 16
        elif size == 0:
            size = len(view) - at
        if size < head:
            raise ClipError("a box smaller than its head")
        yield at, kind, taken(view, at + head, size - head)
        at += size


def boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    return ((kind, content) for _, kind, content in placed(view))


def inside(view: memoryview) -> Parts:
    found: Parts = {}
    for kind, content in boxes(view):
        found.setdefault(kind, []).append(content)
    return found


def one(parts: Parts, kind: bytes) -> memoryview:
    if kind not in parts:
        raise ClipError(f"no {kind.decode(errors='replace')}")
    return parts[kind][0]


def box(kind: bytes, *parts: bytes | bytearray | memoryview) -> bytes:
    size = 8 + sum(map(len, parts))
    return b"".join((size.to_bytes(4, "big"), kind, *parts))


def rows(view: memoryview, at: int, letter: str, count: int) -> Sequence[int]:
    if count > ROWS_MAX:
        raise ClipError("longer than any result")
    size = struct.calcsize(letter) * count
    found: Sequence[int] = struct.unpack(f">{count}{letter}", taken(view, at, size))
    return found
