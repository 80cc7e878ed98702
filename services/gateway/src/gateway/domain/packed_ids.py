"""Ids as they travel in a button's data: 22 characters instead of 36."""

from __future__ import annotations

import base64
import binascii
import hashlib
from uuid import UUID

ID_LENGTH = 22
_MARK_BYTES = 16


def pack_id(value: UUID) -> str:
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def unpack_id(packed: str) -> UUID | None:
    """None unless it is exactly what `pack_id` writes."""
    if len(packed) != ID_LENGTH or not packed.isascii():
        return None
    try:
        value = UUID(bytes=base64.urlsafe_b64decode(f"{packed}=="))
    except (binascii.Error, ValueError):
        return None
    return value if pack_id(value) == packed else None


def mark(name: str) -> str:
    """A short stand-in for a name that is too long for a button, such as a charge's."""
    digest = hashlib.sha256(name.encode()).digest()[:_MARK_BYTES]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
