"""What a video container is read and written with, whichever of the two it is."""

from __future__ import annotations

import msgspec

TRACKS_MAX = 8
SECONDS_MAX = 24 * 3600.0
_PARTS_FREE, _PARTS_MAX, _BYTES_A_PART = 100_000, 2_000_000, 128
"""An hour of pictures and sound is 300,000 packets, in files of far more than 128 bytes each."""
_SETUP_PARTS = 2_000
"""Of one setup, which is read part by part. Real ones have ten, Vorbis with a cover hundreds."""
_SIZE_BYTES_MAX = 8
_AV1_HEAD, _SEQUENCE_HEADER, _OBU_SIZED, _OBU_EXTENDED = 4, 1, 0x02, 0x04

_LACED, _VORBIS_BYTES = 255, 30
_NO_COMMENT = b"\x03vorbis" + bytes(8) + b"\1"
"""Of no vendor, with no tags, and with the bit at its end that must be set."""


class ClipError(ValueError):
    """What is wrong with a video, in words of ours that may be logged."""


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """A video of its own: the same frames and sounds, and nothing said of them."""

    body: bytes
    width: int
    height: int
    duration_seconds: float


class Allowance(msgspec.Struct):
    """How many more parts a file may have: a few bytes of it must not cost much memory or time."""

    left: int

    def spend(self, parts: int = 1) -> None:
        self.left -= parts
        if self.left < 0:
            raise ClipError("more parts than any result")


def parts_allowed(size: int) -> Allowance:
    """Of boxes or elements, in a file of that many bytes."""
    return Allowance(min(_PARTS_FREE + size // _BYTES_A_PART, _PARTS_MAX))


def setup_parts() -> Allowance:
    """Parameter sets, OBUs or laces of one setup."""
    return Allowance(_SETUP_PARTS)


def lasting(seconds: float) -> float:
    """Raises ClipError for a video that nobody can watch, or nobody to its end."""
    if not 0 < seconds <= SECONDS_MAX:
        raise ClipError("lasts no time or more than a day")
    return seconds


def taken(view: memoryview, at: int, size: int) -> memoryview:
    """Raises ClipError where a slice would quietly be shorter: the file was cut off."""
    if at + size > len(view):
        raise ClipError("cut off")
    return view[at : at + size]


def number(view: memoryview, at: int, size: int) -> int:
    return int.from_bytes(taken(view, at, size), "big")


def av1_setup(view: memoryview) -> bytes:
    """What av1C holds, of its OBUs only the sequence header: a metadata OBU may hold a text."""
    kept, at, left = bytes(taken(view, 0, _AV1_HEAD)), _AV1_HEAD, setup_parts()
    while at < len(view):
        left.spend()
        head, start = number(view, at, 1), at
        if not head & _OBU_SIZED:
            raise ClipError("an OBU without a size")
        size, at = _size_of_obu(view, at + (2 if head & _OBU_EXTENDED else 1))
        whole = taken(view, start, at - start + size)
        if head >> 3 & 15 == _SEQUENCE_HEADER and not kept[_AV1_HEAD:]:
            kept += whole
        at += size
    return kept


def _size_of_obu(view: memoryview, at: int) -> tuple[int, int]:
    """Seven bits of it a byte, the lowest first; and where it ends."""
    size = 0
    for place in range(_SIZE_BYTES_MAX):
        byte = number(view, at + place, 1)
        size |= (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return size, at + place + 1
    raise ClipError("a size without an end")


def opus_setup(view: memoryview) -> bytes:
    """What dOps holds, and OpusHead after its name."""
    mapped = 2 + number(view, 1, 1) if number(view, 10, 1) else 0
    return bytes(taken(view, 0, 11 + mapped))


def vorbis_setup(view: memoryview) -> bytes:
    """Three headers in one, of which the second is all tags."""
    sizes, at, left = [0, 0], 1, setup_parts()
    for place in range(2):
        more = _LACED
        while more == _LACED:
            left.spend()
            more, at = number(view, at, 1), at + 1
            sizes[place] += more
    first, last = bytes(taken(view, at, sizes[0])), bytes(view[at + sum(sizes) :])
    heads = first[:7] == b"\x01vorbis" and last[:7] == b"\x05vorbis"
    if not heads or len(first) != _VORBIS_BYTES:
        raise ClipError("no headers of Vorbis")
    return b"".join((bytes([2, _VORBIS_BYTES, len(_NO_COMMENT)]), first, _NO_COMMENT, last))
