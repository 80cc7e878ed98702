"""Who connects from where, learnt from the core's access log through a pipe; nothing is stored.

The core writes a line for every connection it accepts: peer, target, email. Targets are dropped
here at once. A pipe without a reader costs the core nothing: it drops lines and tries again.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from chassis import logs
from vpn.agent.netlink import Address

log = logs.get("vpn.agent.access_log")
READ_BYTES = 1 << 16
LINE_BYTES_MAX = 4_096
_LINE = re.compile(
    rb"(?:^|\s)(?:from )?(?:tcp:)?(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5}) accepted .* ?"
    rb"email: (\S+)\s*$"
)


def parse(line: bytes) -> tuple[str, Address] | None:
    """Return email and peer of a line that says both."""
    found = _LINE.search(line)
    if found is None:
        return None
    try:
        peer = ip_address((found[1] or found[2]).decode())
    except ValueError:
        return None
    mapped = getattr(peer, "ipv4_mapped", None)
    return found[4].decode(errors="replace").lower(), (str(mapped or peer), int(found[3]))


class AccessLog:
    """Reads the pipe as long as it is open."""

    def __init__(self, path: Path, seen: Callable[[str, Address], None]) -> None:
        self.path = path
        self._seen = seen
        self._descriptor = -1
        self._rest = b""

    def open(self) -> None:
        """Make the pipe if need be, and read what comes."""
        if self.path.exists() and not self.path.is_fifo():
            self.path.unlink()
        if not self.path.exists():
            os.mkfifo(self.path, 0o600)
        # Also for writing: the pipe must not end when a core does.
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            self._rest = b""
        for line in lines:
            if (found := parse(line)) is not None:
                self._seen(*found)

    def close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class Peers:
    """The latest addresses of every email: bounded, oldest forgotten first."""

    def __init__(self, *, per_email_max: int = 256, emails_max: int = 200_000) -> None:
        self._per_email_max = per_email_max
        self._emails_max = emails_max
        self._known: OrderedDict[str, OrderedDict[Address, None]] = OrderedDict()

    def add(self, email: str, peer: Address) -> None:
        mine = self._known.setdefault(email, OrderedDict())
        mine[peer] = None
        mine.move_to_end(peer)
        self._known.move_to_end(email)
        if len(mine) > self._per_email_max:
            mine.popitem(last=False)
        if len(self._known) > self._emails_max:
            self._known.popitem(last=False)

    def of(self, email: str) -> set[Address]:
        return set(self._known.get(email, ()))

    def keep(self, live: set[Address]) -> None:
        """Forget whoever is connected no more."""
        for email in list(self._known):
            mine = self._known[email]
            for peer in [peer for peer in mine if peer not in live]:
                del mine[peer]
            if not mine:
                del self._known[email]

    def as_lists(self) -> dict[str, list[Address]]:
        return {email: list(mine) for email, mine in self._known.items()}
