"""How a key of a bucket is written as a subject, and read back."""

from __future__ import annotations

import re

_ILLEGAL = re.compile(r"[^-/_.a-zA-Z0-9]")
_ESCAPE = re.compile(r"=([0-9A-F]{2})")


def encode_key(key: str) -> str:
    """Return the key in the alphabet NATS allows; other bytes become `=XX`.

    Dots stay (they separate subject tokens) unless one of the tokens would be empty.
    """
    if not key:
        raise ValueError("a key is not empty")
    encoded = _ILLEGAL.sub(lambda found: "".join(f"={b:02X}" for b in found[0].encode()), key)
    if not all(encoded.split(".")):
        encoded = encoded.replace(".", "=2E")
    return encoded


def decode_key(encoded: str) -> str:
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), encoded)
    # Every escaped byte is one latin-1 character now, the rest is ASCII.
    return raw.encode("latin-1").decode("utf-8", "replace")
