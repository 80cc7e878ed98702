"""When a certificate counts no longer, read without cryptography: most images do not hold it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _OCTETS = 0x30, 0x04
_VERSION, _EXTENSIONS, _KEY_OF_ISSUER = 0xA0, 0xA3, 0x80
_UTC_TIME = 0x17
_SUBJECT_KEY, _AUTHORITY_KEY = bytes.fromhex("551d0e"), bytes.fromhex("551d23")
"""The extensions 2.5.29.14 and 2.5.29.35."""


class Certificate(NamedTuple):
    """What a chain is put together by, of RFC 5280's Certificate."""

    issuer: bytes
    subject: bytes
    ends_at: datetime
    key: bytes | None
    """Its own, as the extension SubjectKeyIdentifier calls it."""
    issuer_key: bytes | None

    def issued_by(self, other: Certificate) -> bool:
        """By name and, where both say it, by key: a signature is for the server to check."""
        if self.issuer != other.subject:
            return False
        return None in (self.issuer_key, other.key) or self.issuer_key == other.key


def end_of(shown: bytes, believed: bytes) -> datetime:
    """Return when a certificate counts no longer: itself, or what vouches for it.

    `shown`: the certificate first, then those between it and an authority, as a vault or
    cert-manager may add them. `believed`: authorities, several during a rotation; who did not sign
    this one does not matter, unless none of them did. Then it is not known which one does.
    Raises ValueError for what is no certificate.
    """
    certificate, *between = read(shown)
    authorities = read(believed)
    ends = [certificate.ends_at]
    while not (found := _issuers(certificate, authorities)):
        if not (found := _issuers(certificate, between)):
            return min(*ends, *(each.ends_at for each in authorities))
        certificate = found[-1]
        between.remove(certificate)
        ends.append(certificate.ends_at)
    return min(*ends, found[-1].ends_at)


def _issuers(certificate: Certificate, candidates: Sequence[Certificate]) -> list[Certificate]:
    """Return who signed it, the longest-lived last: a renewed authority may keep its key."""
    found = [each for each in candidates if certificate.issued_by(each)]
    return sorted(found, key=lambda each: each.ends_at)


def read(pem: bytes) -> list[Certificate]:
    """Return the certificates of a file, at least one. Raises ValueError."""
    found = [_certificate(base64.b64decode(text)) for text in _PEM.findall(pem)]
    if not found:
        raise ValueError("no certificate in PEM")
    return found


def _certificate(der: bytes) -> Certificate:
    try:
        (_, whole), *_ = _parts(der)
        (_, signed), *_ = _parts(whole)
        fields = [each for each in _parts(signed) if each[0] != _VERSION]
        _serial, _algorithm, issuer, validity, subject = (value for _, value in fields[:5])
        _, ends = _parts(validity)
        extensions = dict(_extensions(fields))
    except (IndexError, StopIteration) as error:
        raise ValueError("no certificate in DER") from error
    return Certificate(
        issuer,
        subject,
        _time(*ends),
        _only(extensions.get(_SUBJECT_KEY), _OCTETS),
        _key_of_issuer(extensions.get(_AUTHORITY_KEY)),
    )


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value, one after the other."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(der[at : at + count])
            at += count
        if at + length > len(der):
            raise ValueError("DER ends too soon")
        yield tag, der[at : at + length]
        at += length


def _extensions(fields: Sequence[tuple[int, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for tag, value in fields[6:]:
        if tag != _EXTENSIONS:
            continue
        (_, listed), *_ = _parts(value)
        for _, extension in _parts(listed):
            parts = list(_parts(extension))
            yield parts[0][1], parts[-1][1]


def _only(der: bytes | None, tag: int) -> bytes | None:
    return next((value for found, value in _parts(der or b"") if found == tag), None)


def _key_of_issuer(der: bytes | None) -> bytes | None:
    return _only(_only(der, _SEQUENCE), _KEY_OF_ISSUER)


def _time(tag: int, text: bytes) -> datetime:
    """RFC 5280 allows two forms; of the short one, years from 50 on are of the last century."""
    digits = text.decode("ascii")
    if tag == _UTC_TIME:
        digits = ("19" if int(digits[:2]) >= 50 else "20") + digits  # noqa: PLR2004
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
