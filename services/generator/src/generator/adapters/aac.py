"""AAC's own setup (ISO/IEC 14496-3 §1.6.2.1): what a decoder must know, and no comment."""

from __future__ import annotations

from generator.adapters.clips import ClipError

_GENERAL = frozenset({1, 2, 3, 4})
"""Main, of low complexity, of scaled rate, with prediction: they are set up alike."""
_ADDED_TO = frozenset({5, 29})
"""Bands or a channel more than one of these."""
PLAIN = _GENERAL | _ADDED_TO
_BYTES_MAX = 16
_RATE_TOLD = 15
_EXTENSION_BYTES = 8
"""Behind all else: that a decoder which can do more may expect more."""


class _Bits:
    def __init__(self, setup: bytes) -> None:
        self._value, self._size, self._at = int.from_bytes(setup, "big"), 8 * len(setup), 0

    def take(self, count: int) -> int:
        self._at += count
        if self._at > self._size:
            raise ClipError("cut off")
        return self._value >> (self._size - self._at) & ((1 << count) - 1)

    def to_next_byte(self) -> int:
        """Skip what is left of a byte; return how many are behind."""
        self.take(-self._at % 8)
        return self._at // 8


def without_comment(setup: bytes) -> bytes:
    """Raises ClipError for a setup that ends too early.

    Who names no known layout lists the speakers one by one, and may end the list with a text;
    FFmpeg writes its version there.
    """
    bits = _Bits(setup)
    codec = bits.take(5)
    _skip_rate(bits)
    layout = bits.take(4)
    if codec in _ADDED_TO:
        _skip_rate(bits)
        codec = bits.take(5)
    if layout or codec not in _GENERAL:
        return setup[:_BYTES_MAX]
    bits.take(1)
    if bits.take(1):
        bits.take(14)
    bits.take(1)
    _skip_speakers(bits)
    end = bits.to_next_byte()
    behind = end + 1 + bits.take(8)
    return setup[:end] + b"\0" + setup[behind : behind + _EXTENSION_BYTES]


def _skip_rate(bits: _Bits) -> None:
    if bits.take(4) == _RATE_TOLD:
        bits.take(24)


def _skip_speakers(bits: _Bits) -> None:
    bits.take(10)
    front, side, back, low, data, coupled = (bits.take(size) for size in (4, 4, 4, 2, 3, 4))
    for size in (4, 4, 3):
        if bits.take(1):
            bits.take(size)
    bits.take(5 * (front + side + back + coupled) + 4 * (low + data))
