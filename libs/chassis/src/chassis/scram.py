"""A password as Postgres stores it (RFC 5802, 7677), so that no statement carries the password."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from base64 import b64encode

ITERATIONS = 4096
SALT_BYTES = 16
_PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def verifier(password: str, *, salt: bytes | None = None) -> str:
    """Return what `ALTER ROLE ... PASSWORD` stores as it is; another salt gives another text."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, ITERATIONS)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    salt64, stored64, server64 = (
        b64encode(each).decode() for each in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _prepared(password: str) -> bytes:
    """Apply SASLprep (RFC 4013) as Postgres does: what it does not allow is taken as it is."""
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in password
        if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    refused = any(check(each) for each in prepared for check in _PROHIBITED)
    return (password if refused or not prepared or _mixed(prepared) else prepared).encode()


def _mixed(text: str) -> bool:
    """Whether the text breaks the rule for texts written from right to left."""
    from_the_right = [stringprep.in_table_d1(each) for each in text]
    if not any(from_the_right):
        return False
    return any(map(stringprep.in_table_d2, text)) or not from_the_right[0] or not from_the_right[-1]
