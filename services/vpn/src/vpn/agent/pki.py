"""A small authority of our own: short-lived certificates for nodes and for the control plane."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chassis.clock import SystemClock
from vpn.agent import journal
from vpn.node_api import CONTROL_NAME, node_name

AUTHORITY_CERTIFICATE = "authority.crt"
AUTHORITY_KEY = "authority.key"
BUNDLE = "ca.crt"
"""What everybody believes: the authority, and during a rotation also the one before."""
CONTROL = "control"
AUTHORITY_DAYS = 5 * 365
CERTIFICATE_DAYS = 30.0
BACKDATED = timedelta(minutes=5)
"""For machines whose clocks are a little behind."""


class Pki:
    """An authority in a folder. Its key signs and goes nowhere else."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.folder = folder
        self._now = now or SystemClock().now()

    def init(self) -> None:
        """Make an authority. Where one is, it is replaced, and both are believed from now on."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = self._read(self._authority) if self._authority.exists() else b""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Vitrine VPN nodes")])
        identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATED)
            .not_valid_after(self._now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identity, critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write_key(self.folder / AUTHORITY_KEY, key)
        journal.replace(self._authority, pem)
        self._write_bundle(pem + before)

    def forget_old(self) -> None:
        """Believe only the newest authority, once everybody has its certificates."""
        self._write_bundle(self._read(self._authority))

    def node(self, name: str, addresses: Sequence[str] = (), days: float | None = None) -> None:
        """Write `<name>.crt` and `<name>.key`: a server's, good for nothing else."""
        self._issue(name, node_name(name), addresses, ExtendedKeyUsageOID.SERVER_AUTH, days)

    def control(self, days: float | None = None) -> None:
        """Write `control.crt` and `control.key`: the only client that nodes serve."""
        self._issue(CONTROL, CONTROL_NAME, (), ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def client(self, file: str, dns_name: str, days: float | None = None) -> None:
        """Write a client's certificate under another name: nodes refuse it."""
        self._issue(file, dns_name, (), ExtendedKeyUsageOID.CLIENT_AUTH, days)

    def _issue(
        self,
        file: str,
        dns_name: str,
        addresses: Sequence[str],
        purpose: x509.ObjectIdentifier,
        days: float | None,
    ) -> None:
        authority = x509.load_pem_x509_certificate(self._read(self._authority))
        signer = serialization.load_pem_private_key(self._read(self.folder / AUTHORITY_KEY), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        until = self._now + timedelta(days=CERTIFICATE_DAYS if days is None else days)
        names = [x509.DNSName(dns_name), *(_general_name(one) for one in addresses)]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file[:64])]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(self._now, until) - BACKDATED)
            .not_valid_after(min(until, authority.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
        # The key first: until the certificate follows, the pair on disk does not fit and a running
        # agent keeps the one it has.
        _write_key(self.folder / f"{file}.key", key)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        journal.replace(self.folder / f"{file}.crt", pem)

    @property
    def _authority(self) -> Path:
        return self.folder / AUTHORITY_CERTIFICATE

    def _write_bundle(self, pem: bytes) -> None:
        journal.replace(self.folder / BUNDLE, pem)

    @staticmethod
    def _read(path: Path) -> bytes:
        return path.read_bytes()


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    journal.replace(path, pem)


def main(arguments: Sequence[str]) -> int:
    """Run `vpn-agent pki ...`; return the exit code."""
    parser = argparse.ArgumentParser(prog="vpn-agent pki")
    parser.add_argument("--folder", type=Path, default=Path("pki"))
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("init", help="make an authority; again: rotate it, both are believed")
    verbs.add_parser("forget-old", help="end a rotation: believe only the newest authority")
    node = verbs.add_parser("node", help="make a node's certificate")
    node.add_argument("name")
    node.add_argument("--address", action="append", default=[], help="a further name or IP")
    control = verbs.add_parser("control", help="make the control plane's certificate")
    for verb in (node, control):
        verb.add_argument("--days", type=float, default=CERTIFICATE_DAYS)
    chosen = parser.parse_args(arguments)
    authority = Pki(chosen.folder)
    try:
        if chosen.verb == "init":
            authority.init()
        elif chosen.verb == "forget-old":
            authority.forget_old()
        elif chosen.verb == "node":
            authority.node(chosen.name, chosen.address, chosen.days)
        else:
            authority.control(chosen.days)
    except OSError as error:
        sys.stderr.write(f"{error.filename or chosen.folder}: {error.strerror}\n")
        return os.EX_IOERR
    return os.EX_OK
