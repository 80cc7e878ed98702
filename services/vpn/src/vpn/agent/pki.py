"""A small authority of our own: short-lived certificates for nodes and for the control plane."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from chassis.authority import CLIENT, SERVER, Authority
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


class Pki:
    """An authority in a folder. Its key signs and goes nowhere else."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.folder = folder
        self._now = now or SystemClock().now()

    def init(self) -> None:
        """Make an authority. Where one is, it is replaced, and both are believed from now on."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = self._read(self._authority) if self._authority.exists() else b""
        made = Authority.new("Vitrine VPN nodes", self._now, timedelta(days=AUTHORITY_DAYS))
        journal.replace(self.folder / AUTHORITY_KEY, made.key)
        journal.replace(self._authority, made.certificate)
        self._write_bundle(made.certificate + before)

    def forget_old(self) -> None:
        """Believe only the newest authority, once everybody has its certificates."""
        self._write_bundle(self._read(self._authority))

    def node(self, name: str, addresses: Sequence[str] = (), days: float | None = None) -> None:
        """Write `<name>.crt` and `<name>.key`: a server's, good for nothing else."""
        self._issue(name, node_name(name), addresses, SERVER, days)

    def control(self, days: float | None = None) -> None:
        """Write `control.crt` and `control.key`: the only client that nodes serve."""
        self._issue(CONTROL, CONTROL_NAME, (), CLIENT, days)

    def client(self, file: str, dns_name: str, days: float | None = None) -> None:
        """Write a client's certificate under another name: nodes refuse it."""
        self._issue(file, dns_name, (), CLIENT, days)

    def _issue(
        self,
        file: str,
        dns_name: str,
        addresses: Sequence[str],
        purpose: x509.ObjectIdentifier,
        days: float | None,
    ) -> None:
        authority = Authority.load(
            self._read(self._authority), self._read(self.folder / AUTHORITY_KEY)
        )
        lifetime = timedelta(days=CERTIFICATE_DAYS if days is None else days)
        made = authority.issue(file, (dns_name, *addresses), [purpose], self._now, lifetime)
        # The key first: until the certificate follows, the pair on disk does not fit and a running
        # agent keeps the one it has.
        journal.replace(self.folder / f"{file}.key", made.key)
        journal.replace(self.folder / f"{file}.crt", made.certificate)

    @property
    def _authority(self) -> Path:
        return self.folder / AUTHORITY_CERTIFICATE

    def _write_bundle(self, pem: bytes) -> None:
        journal.replace(self.folder / BUNDLE, pem)

    @staticmethod
    def _read(path: Path) -> bytes:
        return path.read_bytes()


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
