"""What a video container is read and written with, whichever of the two it is."""

from __future__ import annotations

import msgspec


class ClipError(ValueError):
    """What is wrong with a video, in words of ours that may be logged."""


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """A video of its own: the same frames and sounds, and nothing said of them."""

    body: bytes
    width: int
    height: int
    duration_seconds: float


def taken(view: memoryview, at: int, size: int) -> memoryview:
    """Raises ClipError where a slice would quietly be shorter: the file was cut off."""
    if at + size > len(view):
        raise ClipError("cut off")
    return view[at : at + size]


def number(view: memoryview, at: int, size: int) -> int:
    return int.from_bytes(taken(view, at, size), "big")
