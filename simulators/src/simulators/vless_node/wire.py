"""The few protobuf messages a core exchanges, read and written by hand.

Independent of the service's generated code on purpose: a mistake in its .proto shows here.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, BYTES = 0, 2


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Every field of a message, in order."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == BYTES:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("a field is cut short")
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7} is not used here")


def first(data: bytes, number: int) -> bytes:
    """The first field of that number, or nothing."""
    for found, value in fields(data):
        if found == number and isinstance(value, bytes):
            return value
    return b""


def flag(data: bytes, number: int) -> bool:
    """A bool field."""
    return any(found == number and bool(value) for found, value in fields(data))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def text(field: int, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | BYTES) + varint(len(raw)) + raw


def typed(kind: str, value: bytes) -> bytes:
    """TypedMessage: the name of a message, and the message."""
    return text(1, kind) + text(2, value)


def user(email: str, account_kind: str, key: str, flow: str) -> bytes:
    """User, with its VLESS account in a TypedMessage."""
    account = text(1, key) + (text(2, flow) if flow else b"")
    return text(2, email) + text(3, typed(account_kind, account))


def stat(name: str, value: int) -> bytes:
    return text(1, name) + number(2, value)
