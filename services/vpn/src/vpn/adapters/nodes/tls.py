"""Mutual TLS: contexts made from files, made anew when the files change."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509

Stamp = tuple[tuple[int, int, int], ...]


class TlsFiles(msgspec.Struct, frozen=True):
    """Who we are and whom we believe. `ca` may hold several authorities during a rotation."""

    certificate: Path
    key: Path
    ca: Path

    def stamp(self) -> Stamp:
        """Return what changes when a file does. OSError: one is missing just now."""
        stats = [path.stat() for path in (self.certificate, self.key, self.ca)]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)

    def certificate_until(self) -> datetime:
        """Return when our certificate ends."""
        loaded = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return loaded.not_valid_after_utc.astimezone(UTC)

    def server_context(self) -> ssl.SSLContext:
        """Return a context that serves nobody without a certificate of our authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        # A resumed session would outlive the authority that vouched for it.
        context.num_tickets = 0
        return self._filled(context)

    def client_context(self) -> ssl.SSLContext:
        """Return a context that shows our certificate and believes only our authority."""
        return self._filled(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        return context


def names(peer_certificate: dict[str, object] | None) -> set[str]:
    """Return the DNS names a verified peer's certificate carries (never its common name)."""
    if not peer_certificate:
        return set()
    pairs = peer_certificate.get("subjectAltName", ())
    assert isinstance(pairs, tuple)
    return {value for kind, value in pairs if kind == "DNS"}
