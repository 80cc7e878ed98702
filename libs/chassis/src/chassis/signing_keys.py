"""Signing keys as files: how they are made, named, read, and read again after a change."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from nacl import bindings
from nacl.exceptions import BadSignatureError

from chassis import logs
from chassis.errors import ConfigurationError

log = logs.get("chassis.signing_keys")
PRIVATE_NAME = "signing.key"
"""The one entry of a Secret `vitrine-signing-<party>`."""
VERIFY_FOLDER = "verify"
SEED_BYTES = 32
KEY_ID_BYTES = 8
_PRIVATE_DER = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC_DER = bytes.fromhex("302a300506032b6570032100")
"""What PKCS 8 and SPKI write before the 32 bytes of an Ed25519 key (RFC 8410)."""
_PUBLIC_NAME = re.compile(r"([a-z][a-z0-9_-]*)\.([0-9a-f]{16})\.pub")


class KeyFileError(ConfigurationError):
    """A key file is missing, or is not what its name says."""


class SigningKey(NamedTuple):
    """A private key, and the public half everybody else has."""

    id: str
    secret: bytes
    """Seed and public key, as libsodium wants them."""
    public: bytes

    def sign(self, text: bytes) -> bytes:
        signed: bytes = bindings.crypto_sign(text, self.secret)
        return signed[: bindings.crypto_sign_BYTES]


class NewKey(NamedTuple):
    """A key that was just made, as the texts of its two files."""

    party: str
    key_id: str
    private_pem: str
    public_pem: str

    @property
    def public_name(self) -> str:
        return f"{self.party}.{self.key_id}.pub"


def new_key(party: str) -> NewKey:
    """Make a key for a service or for `operator`."""
    public, secret = bindings.crypto_sign_keypair()
    private_pem = _pem("PRIVATE KEY", _PRIVATE_DER + secret[:SEED_BYTES])
    return NewKey(party, key_id(public), private_pem, _pem("PUBLIC KEY", _PUBLIC_DER + public))


def key_id(public: bytes) -> str:
    """Return a key's name, made from the key: two keys never share one by mistake."""
    return hashlib.sha256(public).digest()[:KEY_ID_BYTES].hex()


def private_file(folder: Path, party: str) -> Path:
    """Where `ensure` keeps a party's private key."""
    return folder / party / PRIVATE_NAME


def verify_folder(folder: Path) -> Path:
    """Where `ensure` keeps everybody's public keys."""
    return folder / VERIFY_FOLDER


def ensure(folder: Path, parties: Iterable[str]) -> None:
    """Give each party that has no key one: `<party>/signing.key`, `verify/<party>.<id>.pub`.

    Nobody but the owner can read the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for party in parties:
        if not private_file(folder, party).exists():
            write(folder, new_key(party))


def write(folder: Path, key: NewKey) -> None:
    """Write a key's two files, the public one first: nobody signs with what others lack."""
    publish(verify_folder(folder), key)
    replace_private(private_file(folder, key.party), key)


def publish(verify_keys: Path, key: NewKey) -> None:
    """Add a public key to those that are accepted."""
    verify_keys.mkdir(parents=True, exist_ok=True)
    _replace(verify_keys / key.public_name, key.public_pem, 0o644)


def replace_private(file: Path, key: NewKey) -> None:
    """Let a party sign with this key from now on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _replace(file, key.private_pem, 0o600)


def _replace(file: Path, text: str, mode: int) -> None:
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as writing:
        writing.write(text)
    draft.replace(file)


def read_private(file: Path) -> SigningKey:
    """Read a private key; raise KeyFileError."""
    seed = _read(file, "PRIVATE KEY", _PRIVATE_DER)
    public, secret = bindings.crypto_sign_seed_keypair(seed)
    return SigningKey(key_id(public), secret, public)


def read_public(folder: Path) -> dict[tuple[str, str], bytes]:
    """Read every public key, by party and key id; raise KeyFileError. Other files are left alone.

    A Secret or ConfigMap is mounted with hidden entries beside the files: those have no such name.
    """
    found: dict[tuple[str, str], bytes] = {}
    try:
        names = sorted(each.name for each in folder.iterdir())
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be read: {error.strerror}") from error
    for name in names:
        if (match := _PUBLIC_NAME.fullmatch(name)) is None:
            continue
        public = _read(folder / name, "PUBLIC KEY", _PUBLIC_DER)
        if key_id(public) != match[2]:
            raise KeyFileError(f"{folder / name} holds the key {key_id(public)}")
        found[match[1], match[2]] = public
    if not found:
        raise KeyFileError(f"{folder} holds no <service>.<key id>.pub")
    return found


def _read(file: Path, label: str, der: bytes) -> bytes:
    try:
        lines = file.read_text(encoding="ascii").split("\n")
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{file} cannot be read: {type(error).__name__}") from error
    try:
        start = lines.index(f"-----BEGIN {label}-----")
        end = lines.index(f"-----END {label}-----", start)
        raw = base64.b64decode("".join(lines[start + 1 : end]), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != len(der) + SEED_BYTES or not raw.startswith(der):
        raise KeyFileError(f"{file} is not an Ed25519 {label.lower()} (PEM)")
    return raw[len(der) :]


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"


class KeyFiles:
    """One party's private key and everybody's public ones, read again when the files change."""

    def __init__(self, party: str, private: Path, verify_keys: Path) -> None:
        """Raise KeyFileError unless all is there and the own public key is among them."""
        self.party = party
        self._private, self._folder = private, verify_keys
        self._seen = self._state()
        signing, public = read_private(private), read_public(verify_keys)
        if (party, signing.id) not in public:
            raise KeyFileError(
                f"{verify_keys} lacks {party}.{signing.id}.pub, the public half of {private}"
            )
        self.signing: SigningKey = signing
        self.public: Mapping[tuple[str, str], bytes] = public

    def knows(self, party: str, key: str) -> bool:
        return (party, key) in self.public

    def is_anybodys(self, key: str) -> bool:
        """Whether a key is known, whoever it belongs to."""
        return any(known == key for _, known in self.public)

    def verifies(self, party: str, key: str, signature: bytes, text: bytes) -> bool:
        """Whether a known key made this signature under this text."""
        try:
            bindings.crypto_sign_open(signature + text, self.public[party, key])
        except BadSignatureError:
            return False
        return True

    def refresh(self) -> bool:
        """Read what has changed; whether anything has.

        What cannot be read changes nothing, and a private key is not used before its public half
        is among the keys that are accepted: others get theirs from the same place.
        """
        state = self._state()
        if state == self._seen:
            return False
        try:
            public = read_public(self._folder)
            signing = read_private(self._private)
        except KeyFileError as error:
            log.error("signing_keys_unreadable", reason=str(error))  # noqa: TRY400 - it says all
            return False
        self.public = public
        if (self.party, signing.id) in public:
            self._seen = state
            self.signing = signing
        else:
            log.warning("signing_key_waits_for_its_public_half", key=signing.id)
        log.info("signing_keys_read", key=self.signing.id, accepted=len(public))
        return True

    def _state(self) -> tuple[object, ...]:
        """What changes with the files; a mounted Secret is swapped by a symbolic link."""
        try:
            files = [self._private, *sorted(self._folder.glob("*.pub"))]
            stats = [(file.name, file.stat()) for file in files]
        except OSError:
            return ()
        return tuple((name, at.st_mtime_ns, at.st_ino, at.st_size) for name, at in stats)
