"""NATS user keys: an Ed25519 seed and public key, each in the text form nats-server reads.

PyNaCl is imported where it is needed: a connection without keys does without it.
"""

from __future__ import annotations

import base64
import binascii
import secrets

PREFIX_SEED = 18 << 3
PREFIX_USER = 20 << 3
RAW_BYTES = 32
CHECKSUM_BYTES = 2


class SeedError(ValueError):
    """The text is not the seed of a NATS user."""


def new_seed() -> str:
    """Return a new user's seed, `SU...`: the secret half."""
    head = bytes((PREFIX_SEED | PREFIX_USER >> 5, (PREFIX_USER & 31) << 3))
    return _encode(head + secrets.token_bytes(RAW_BYTES))


def public_key(seed: str) -> str:
    """Return what the server is told, `U...`. Raises SeedError."""
    from nacl import bindings

    public, _ = bindings.crypto_sign_seed_keypair(_raw(seed))
    return _encode(bytes((PREFIX_USER,)) + public)


def sign(seed: str, nonce: str) -> str:
    """Answer the server's challenge. Raises SeedError."""
    from nacl import bindings

    _, secret = bindings.crypto_sign_seed_keypair(_raw(seed))
    signed = bindings.crypto_sign(nonce.encode(), secret)
    return base64.b64encode(signed[: bindings.crypto_sign_BYTES]).decode()


def _encode(content: bytes) -> str:
    checksum = binascii.crc_hqx(content, 0).to_bytes(CHECKSUM_BYTES, "little")
    return base64.b32encode(content + checksum).rstrip(b"=").decode()


def _raw(seed: str) -> bytes:
    text = seed.strip()
    try:
        decoded = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        # Not the error itself: it may quote the secret.
        raise SeedError("not base32") from None
    content, checksum = decoded[:-CHECKSUM_BYTES], decoded[-CHECKSUM_BYTES:]
    if len(content) != RAW_BYTES + 2:
        raise SeedError(f"{len(text)} characters long, not 58")
    if content[0] & 0xF8 != PREFIX_SEED or (content[0] & 7) << 5 | content[1] >> 3 != PREFIX_USER:
        raise SeedError("not a user's seed (it begins with SU)")
    if binascii.crc_hqx(content, 0).to_bytes(CHECKSUM_BYTES, "little") != checksum:
        raise SeedError("its checksum is wrong")
    return content[2:]
