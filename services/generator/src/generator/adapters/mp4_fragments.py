"""An MP4 written in pieces, as a program does that cannot go back: its samples as one table.

After ISO/IEC 14496-12 §8.8. What a pipe was written to is sent on as any other file. The first
samples may stand in the index, as those of any other file do.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, repeat

import msgspec

from generator.adapters.clips import TRACKS_MAX, Allowance, ClipError, number, taken
from generator.adapters.mp4_boxes import SAMPLES_MAX, Parts, box, inside, one, placed, rows
from generator.adapters.mp4_tables import Chunk

_BASE, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_FROM_HERE = 0x20000
_RUN_OFFSET, _RUN_FIRST = 0x1, 0x4
_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT = 0x100, 0x200, 0x400, 0x800
_NO_KEYFRAME = 0x10000
_LONGEST = 2**32 - 1
_AS_FAST = b"\0\1\0\0"


class Pieces(msgspec.Struct):
    """The samples of one track, in order, and where its runs of them lie."""

    described: int
    """By which entry of the index, where a fragment does not say."""
    defaults: tuple[int, int, int]
    """Duration, size and flags of a sample that says nothing of its own."""
    durations: list[int] = msgspec.field(default_factory=list)
    sizes: list[int] = msgspec.field(default_factory=list)
    shifts: list[int] = msgspec.field(default_factory=list)
    keys: list[int] = msgspec.field(default_factory=list)
    runs: list[Chunk] = msgspec.field(default_factory=list)
    duration: int = 0
    start: int = 0
    """When the first of them is shown; a recording of the middle of something starts late."""


def gathered(
    whole: memoryview,
    extends: memoryview,
    begun: Mapping[int, tuple[bytes, Sequence[Chunk]]],
    left: Allowance,
) -> dict[int, Pieces]:
    """Raises ClipError where a run does not say where it is. `begun`: what the index told."""
    found = {
        number(each, 4, 4): Pieces(
            described=number(each, 8, 4),
            defaults=(number(each, 12, 4), number(each, 16, 4), number(each, 20, 4)),
        )
        for each in inside(extends).get(b"trex", ())
    }
    if len(found) > TRACKS_MAX:
        raise ClipError("more tracks than any result")
    for track, (told, chunks) in begun.items():
        if chunks:
            _begin(found.get(track), inside(memoryview(told)), chunks)
    # Every sample has a byte of its own: no file has more of them than bytes.
    samples = Allowance(min(SAMPLES_MAX, len(whole)))
    for at, kind, content in placed(whole, left):
        if kind == b"moof":
            end = at
            for each in inside(content, left).get(b"traf", ()):
                end = _read(inside(each, left), found, samples, at, end)
    return found


def _begin(pieces: Pieces | None, parts: Parts, chunks: Sequence[Chunk]) -> None:
    if pieces is None or any(entry != 1 for entry in _numbers(parts, b"stsc", 3)[2::3]):
        raise ClipError("half in fragments")
    sizes = one(parts, b"stsz")
    size, count = number(sizes, 4, 4), number(sizes, 8, 4)
    pieces.sizes += [size] * count if size else rows(sizes, 12, "I", count)
    pieces.durations += _spread(_numbers(parts, b"stts", 2))
    pieces.duration = sum(pieces.durations)
    pieces.shifts += _spread(_numbers(parts, b"ctts", 2)) if b"ctts" in parts else [0] * count
    pieces.keys += _numbers(parts, b"stss", 1) if b"stss" in parts else range(1, count + 1)
    pieces.runs += chunks


def _numbers(parts: Parts, kind: bytes, row: int) -> Sequence[int]:
    table = one(parts, kind)
    return rows(table, 8, "I", row * number(table, 4, 4))


def _spread(told: Sequence[int]) -> Iterator[int]:
    counts = zip(told[0::2], told[1::2], strict=True)
    return chain.from_iterable(repeat(value, count) for count, value in counts)


def _read(parts: Parts, found: dict[int, Pieces], samples: Allowance, start: int, end: int) -> int:
    """Take up one track's runs of a fragment; return where their samples end."""
    head = one(parts, b"tfhd")
    flags, track = number(head, 1, 3), number(head, 4, 4)
    if track not in found:
        raise ClipError("a track nobody announced")
    pieces, at = found[track], 8
    described = pieces.described
    base = start if flags & _FROM_HERE else end
    if flags & _BASE:
        base, at = number(head, at, 8), at + 8
    if flags & _DESCRIPTION:
        described, at = number(head, at, 4), at + 4
    if described != 1:
        raise ClipError("samples nobody described")
    defaults = list(pieces.defaults)
    for place, flag in enumerate((_DURATION, _SIZE, _FLAGS)):
        if flags & flag:
            defaults[place], at = number(head, at, 4), at + 4
    _wait(pieces, parts)
    end = base
    for run in parts.get(b"trun", ()):
        samples.spend(number(run, 4, 4))
        end = _run(run, pieces, defaults, base, end)
    return end


def _wait(pieces: Pieces, parts: Parts) -> None:
    """A fragment that starts later than the last one ended: its last sample is shown so long."""
    if b"tfdt" not in parts:
        return
    told = parts[b"tfdt"][0]
    starts = number(told, 4, 8 if number(told, 0, 1) else 4)
    if not pieces.durations:
        pieces.start = starts
        return
    most = _LONGEST - pieces.durations[-1]
    waited = max(0, min(starts - pieces.start - pieces.duration, most))
    pieces.durations[-1] += waited
    pieces.duration += waited


def _run(run: memoryview, pieces: Pieces, defaults: Sequence[int], base: int, end: int) -> int:
    flags, count, at = number(run, 1, 3), number(run, 4, 4), 8
    if flags & _RUN_OFFSET:
        end, at = base + int.from_bytes(taken(run, at, 4), "big", signed=True), at + 4
    if end < 0:
        raise ClipError("a run that cannot be")
    first, at = (number(run, at, 4), at + 4) if flags & _RUN_FIRST else (None, at)
    told = [each for each in (_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_SHIFT) if flags & each]
    fields = rows(run, at, "I", len(told) * count)
    size = 0
    for place in range(count):
        said = dict(zip(told, fields[place * len(told) : (place + 1) * len(told)], strict=True))
        duration, own, marks = (
            said.get(flag, default)
            for flag, default in zip((_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS), defaults, strict=True)
        )
        if not own:
            raise ClipError("a sample of nothing")
        marks = first if first is not None and place == 0 else marks
        pieces.durations.append(duration)
        pieces.duration += duration
        pieces.sizes.append(own)
        pieces.shifts.append(said.get(_RUN_SHIFT, 0))
        if not marks & _NO_KEYFRAME:
            pieces.keys.append(len(pieces.sizes))
        size += own
    if count:
        pieces.runs.append(Chunk(end, size, count))
    return end + size


def tables(pieces: Pieces) -> bytes:
    count = len(pieces.sizes)
    made = [box(b"stsz", bytes(8), struct.pack(f">I{count}I", count, *pieces.sizes))]
    made.append(_table(b"stts", _lengths(pieces.durations)))
    if any(pieces.shifts):
        # Bits of a signed number are the same whichever way they are read.
        made.append(_table(b"ctts", _lengths(pieces.shifts), version=1))
    if len(pieces.keys) < count:
        made.append(_table(b"stss", [(key,) for key in pieces.keys]))
    starts: list[tuple[int, int, int]] = []
    for place, run in enumerate(pieces.runs, start=1):
        if not starts or starts[-1][1] != run.samples:
            starts.append((place, run.samples, 1))
    made.append(_table(b"stsc", starts))
    return b"".join(made)


def _lengths(values: list[int]) -> list[tuple[int, int]]:
    return [(len(list(group)), value) for value, group in groupby(values)]


def _table(kind: bytes, entries: Sequence[tuple[int, ...]], version: int = 0) -> bytes:
    flat = [value for entry in entries for value in entry]
    head = struct.pack(">II", version << 24, len(entries))
    return box(kind, head, struct.pack(f">{len(flat)}I", *flat))


def timed(header: bytes, at: int, duration: int) -> bytes:
    """A header that tells a duration, which it could not when it was written."""
    width = 8 if header[0] else 4
    if duration >= 1 << (8 * width):
        raise ClipError("longer than it can say")
    return header[:at] + duration.to_bytes(width, "big") + header[at + width :]


def edits_timed(table: bytes, duration: int, delay: int) -> bytes:
    """An edit list after nothing is shown for so long; a row without an end gets this one."""
    if not table and not delay:
        return b""
    table = table or bytes(7) + b"\1" + bytes(8) + _AS_FAST
    width = 8 if table[0] else 4
    if duration + delay >= 1 << (8 * width):
        raise ClipError("longer than it can say")
    size = 2 * width + 4
    edits = [delay.to_bytes(width, "big") + b"\xff" * width + _AS_FAST] if delay else []
    for at in range(8, len(table), size):
        row = table[at : at + size]
        edits.append(row if any(row[:width]) else duration.to_bytes(width, "big") + row[width:])
    return table[:4] + len(edits).to_bytes(4, "big") + b"".join(edits)
