"""The boxes an MP4 is made of (ISO/IEC 14496-12 §4.2), and how much of a codec's may stay."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence

from generator.adapters import aac
from generator.adapters.clips import (
    Allowance,
    ClipError,
    av1_setup,
    number,
    opus_setup,
    setup_parts,
    taken,
)

Parts = dict[bytes, list[memoryview]]
ROWS_MAX = 1_000_000
"""Numbers of a table. More would take memory that no result is worth."""
SAMPLES_MAX = 500_000
"""Of a whole file: two hours of pictures with their sound."""
_BOXES_MAX = 1_000
"""In one box. What has more is a file, which is counted by its bytes."""
_HIGH_PROFILES = frozenset({100, 110, 122, 144, 244, 44, 83, 86, 118, 128})
_H264_SETS, _H265_SETS = (7, 8, 13), frozenset({32, 33, 34})
_AAC, _ESDS_BYTES_MAX, _TEXTS_BYTES_MAX = 0x40, 256, 65_536
_CONFIG_BYTES, _LENGTH_BYTES_MAX, _STREAMINFO_BYTES = 13, 4, 34
_USER_DATA = re.compile(rb"\x00\x00\x01\xb2.*?(?=\x00\x00\x01|\Z)", re.DOTALL)


def placed(
    view: memoryview, left: Allowance | None = None
) -> Iterator[tuple[int, bytes, memoryview]]:
    at = 0
    left = left or Allowance(_BOXES_MAX)
    while at + 8 <= len(view):  # four bytes of nothing may follow the last one
        left.spend()
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


def boxes(view: memoryview, left: Allowance | None = None) -> Iterator[tuple[bytes, memoryview]]:
    return ((kind, content) for _, kind, content in placed(view, left))


def inside(view: memoryview, left: Allowance | None = None) -> Parts:
    found: Parts = {}
    for kind, content in boxes(view, left):
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


def described(codec: bytes, view: memoryview) -> Iterator[bytes]:
    """What a decoder and a screen must know: one box of each kind, and no byte behind its end."""
    seen = set()
    for kind, content in boxes(view):
        if kind in seen:
            continue
        if kind == _SETUP_OF.get(codec):
            kept = _CUT[kind](content)
        elif kind in _SHOWN:
            kept = bytes(taken(content, 0, _SHOWN[kind]))
        elif kind == b"colr" and bytes(content[:4]) in _COLOURS:
            kept = bytes(taken(content, 0, _COLOURS[bytes(content[:4])]))
        else:
            continue
        seen.add(kind)
        yield box(kind, kept)


def _avc(view: memoryview) -> bytes:
    at = _sets(view, 6, number(view, 5, 1) & 31, _H264_SETS[0])
    at = _sets(view, at + 1, number(view, at, 1), _H264_SETS[1])
    if number(view, 1, 1) in _HIGH_PROFILES and at + 4 <= len(view):
        at = _sets(view, at + 4, number(view, at + 3, 1), _H264_SETS[2])
    return bytes(view[:at])


def _sets(view: memoryview, at: int, count: int, kind: int) -> int:
    """Where parameter sets of H.264 end."""
    for _ in range(count):
        size = number(view, at, 2)
        if number(view, at + 2, 1) & 31 != kind:
            raise ClipError("no parameter set")
        at += 2 + len(taken(view, at + 2, size))
    return at


def _hevc(view: memoryview) -> bytes:
    """Without SEI: x265 names itself there, and all it was asked for."""
    kept, at, left = [], 23, setup_parts()
    for _ in range(number(view, 22, 1)):
        start, kind = at, number(view, at, 1) & 63
        at += 3
        for _ in range(number(view, start + 1, 2)):
            left.spend()
            at += 2 + len(taken(view, at + 2, number(view, at, 2)))
        if kind in _H265_SETS:
            kept.append(view[start:at])
    return b"".join((taken(view, 0, 22), bytes([len(kept)]), *kept))


def _vp9(view: memoryview) -> bytes:
    return bytes(taken(view, 0, 10)) + bytes(2)


def _esds(view: memoryview) -> bytes:
    """An elementary stream's description, written anew from what a decoder takes of it."""
    stream = _descriptor(view[4:], 3)
    if number(stream, 2, 1) & 0xE0:
        raise ClipError("a stream that needs another one")
    config = _descriptor(stream[3:], 4)
    own = _descriptor(config[_CONFIG_BYTES:], 5) if len(config) > _CONFIG_BYTES else b""
    if len(own) > _TEXTS_BYTES_MAX:  # a search in more would keep all other threads waiting
        raise ClipError("more setup than any codec has")
    setup = _USER_DATA.sub(b"", own)
    if number(config, 0, 1) == _AAC and setup and setup[0] >> 3 in aac.PLAIN:
        setup = aac.without_comment(setup)
    if len(setup) > _ESDS_BYTES_MAX:
        raise ClipError("more setup than any codec has")
    inner = bytes(taken(config, 0, _CONFIG_BYTES)) + (_described(5, setup) if setup else b"")
    whole = bytes(stream[:2]) + b"\0" + _described(4, inner) + _described(6, b"\2")
    return bytes(4) + _described(3, whole)


def _descriptor(view: memoryview, tag: int) -> memoryview:
    size, at, more = 0, 1, number(view, 0, 1) == tag
    if not more:
        raise ClipError("no descriptor")
    while more and at <= _LENGTH_BYTES_MAX:
        byte = number(view, at, 1)
        size, at, more = size << 7 | byte & 0x7F, at + 1, bool(byte & 0x80)
    return taken(view, at, size)


def _described(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag, size >> 21 | 0x80, size >> 14 & 127 | 0x80, size >> 7 & 127 | 0x80]) + (
        bytes([size & 127]) + content
    )


def _flac(view: memoryview) -> bytes:
    """STREAMINFO alone: the blocks behind it are tags and pictures."""
    if number(view, 4, 4) & 0x7FFFFFFF != _STREAMINFO_BYTES:
        raise ClipError("no STREAMINFO")
    return bytes(4) + b"\x80" + bytes(taken(view, 5, 3 + _STREAMINFO_BYTES))


def _eac3(view: memoryview) -> bytes:
    at = 2
    for _ in range((number(view, 1, 1) & 7) + 1):
        at += 4 if number(view, at + 2, 1) >> 1 & 15 else 3
    taken(view, 0, at)
    return bytes(view[: at + 2])  # two bytes more tell of objects


_CUT: dict[bytes, Callable[[memoryview], bytes]] = {
    b"avcC": _avc,
    b"hvcC": _hevc,
    b"av1C": av1_setup,
    b"vpcC": _vp9,
    b"esds": _esds,
    b"dOps": opus_setup,
    b"dfLa": _flac,
    b"alac": lambda view: bytes(taken(view, 0, 28)),
    b"dac3": lambda view: bytes(taken(view, 0, 3)),
    b"dec3": _eac3,
}
_SETUP_OF = {
    **dict.fromkeys((b"avc1", b"avc3"), b"avcC"),
    **dict.fromkeys((b"hvc1", b"hev1"), b"hvcC"),
    **dict.fromkeys((b"vp08", b"vp09"), b"vpcC"),
    **dict.fromkeys((b"mp4v", b"mp4a"), b"esds"),
    b"av01": b"av1C",
    b"Opus": b"dOps",
    b"fLaC": b"dfLa",
    b"alac": b"alac",
    b"ac-3": b"dac3",
    b"ec-3": b"dec3",
}
_SHOWN = {b"pasp": 8, b"clap": 32, b"btrt": 12, b"fiel": 2, b"mdcv": 24, b"clli": 4}
_COLOURS = {b"nclx": 11, b"nclc": 10}
"""An ICC profile may name who made it."""
