"""The tables of an MP4's samples: how many, how long, how large, where (ISO/IEC 14496-12 §8.6-8.9).

What one of them says of samples that are not there, or says twice, is refused or left out: a text
would have room in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from generator.adapters.clips import Allowance, ClipError, number, taken
from generator.adapters.mp4_boxes import Parts, box, one, rows

_TABLES = {b"stts": 2, b"ctts": 2, b"stss": 1, b"stsc": 3}
"""Numbers in a row of each; how many rows there are is told before them."""
_SHIFTS = b"ctts"
"""The one table of two versions: in the second one numbers may be negative."""
_GROUPS = {b"roll": 2, b"prol": 2, b"rap ": 1}
"""What a group is told with, in bytes."""
_GROUPS_MAX = 16


class Chunk(NamedTuple):
    offset: int
    size: int
    samples: int


def counted(samples: Parts, left: Allowance) -> tuple[int, int]:
    """How many samples there are and how long they last; no table tells of more than these."""
    count = number(one(samples, b"stsz"), 8, 4)
    left.spend(count)
    times = _rows(one(samples, b"stts"), b"stts")
    shifts = _rows(samples[_SHIFTS][0], _SHIFTS)[0::2] if _SHIFTS in samples else [count]
    keys = _rows(samples[b"stss"][0], b"stss") if b"stss" in samples else []
    if (
        sum(times[0::2]) != count
        or sum(shifts) != count
        or (count and 0 in (*times[0::2], *shifts))
    ):
        raise ClipError("tables of other samples")
    if any(a >= b for a, b in zip((0, *keys), (*keys, count + 1), strict=True)):
        raise ClipError("keyframes out of order")
    return count, sum(map(int.__mul__, times[0::2], times[1::2]))


def _rows(table: memoryview, kind: bytes) -> Sequence[int]:
    return rows(table, 8, "I", _TABLES[kind] * number(table, 4, 4))


def tables(samples: Parts, count: int) -> bytes:
    sizes = one(samples, b"stsz")
    listed = 0 if number(sizes, 4, 4) else count
    kept = [box(b"stsz", bytes(4), taken(sizes, 4, 8 + 4 * listed))]
    for kind, row in _TABLES.items():
        for each in samples.get(kind, ())[:1]:
            version = b"\1" if kind == _SHIFTS and each[0] == 1 else b"\0"
            numbers = taken(each, 4, 4 + 4 * row * number(each, 4, 4))
            kept.append(box(kind, version, bytes(3), numbers))
    for group, size in _GROUPS.items():
        kept += _grouped(samples, count, group, size)
    return b"".join(kept)


def _grouped(samples: Parts, count: int, group: bytes, size: int) -> list[bytes]:
    """Which samples make sense only after others, as FFmpeg and most others write it."""
    told, where = (
        next((each for each in samples.get(kind, ()) if bytes(each[4:8]) == group), None)
        for kind in (b"sgpd", b"sbgp")
    )
    if told is None or where is None or told[0] != 1 or where[0] or number(told, 8, 4) != size:
        return []
    groups = number(told, 12, 4)
    members = rows(where, 12, "I", 2 * number(where, 8, 4))
    of_these = 0 not in members[0::2] and sum(members[0::2]) <= count
    if groups > _GROUPS_MAX or not of_these or max(members[1::2], default=0) > groups:
        return []
    return [
        box(b"sgpd", b"\1\0\0\0", taken(told, 4, 12 + size * groups)),
        box(b"sbgp", bytes(4), taken(where, 4, 8 + 4 * len(members))),
    ]


def chunks(samples: Parts, entries: int) -> Iterator[Chunk]:
    """Where the samples are. A table that contradicts another one is an error."""
    sizes, groups = one(samples, b"stsz"), one(samples, b"stsc")
    each, count = number(sizes, 4, 4), number(sizes, 8, 4)
    listed = () if each else rows(sizes, 12, "I", count)
    if 0 in listed:
        raise ClipError("a sample of nothing")
    offsets = _offsets(samples)
    runs = _rows(groups, b"stsc")
    firsts = [*runs[0::3], len(offsets) + 1]
    if firsts[0] != 1 or sorted(set(firsts)) != firsts:
        raise ClipError("chunks out of order")
    if not all(0 < entry <= entries for entry in runs[2::3]):
        raise ClipError("samples nobody described")
    done = 0
    for first, after, in_chunk in zip(firsts, firsts[1:], runs[1::3], strict=False):
        for offset in offsets[first - 1 : after - 1]:
            more = min(in_chunk, count - done)
            if not more:
                raise ClipError("a chunk of nothing")
            yield Chunk(offset, each * more if each else sum(listed[done : done + more]), more)
            done += more
    if done != count:
        raise ClipError("samples in no chunk")


def _offsets(samples: Parts) -> Sequence[int]:
    wide = b"co64" in samples
    table = one(samples, b"co64" if wide else b"stco")
    return rows(table, 8, "Q" if wide else "I", number(table, 4, 4))
