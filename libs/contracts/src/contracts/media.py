"""References to stored objects, as messages carry them: bytes never travel in a message."""

from __future__ import annotations

import msgspec


class MediaRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object of the media store.

    `sha256` is the hex digest of its bytes; whoever reads the object checks it.
    """

    name: str
    object_key: str
    sha256: str
    mime: str
    size_bytes: int
    kind: str = "image"
    width: int = 0
    height: int = 0
    duration_seconds: float = 0.0
