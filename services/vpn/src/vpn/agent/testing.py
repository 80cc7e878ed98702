"""What tests of agents and of whoever drives them share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from chassis.clock import SystemClock
from vpn.adapters.nodes.tls import TlsFiles
from vpn.agent.pki import CONTROL, Pki
from vpn.domain.desired import Entry, entry
from vpn.domain.set_hash import EMPTY
from vpn.node_api import Applied
from vpn.ports.nodes import Change, NodeDriver

NODE = "node-1"


def tls_files(pki: Pki, name: str = CONTROL) -> TlsFiles:
    """Return a certificate of the tests' authority."""
    return TlsFiles(pki.folder / f"{name}.crt", pki.folder / f"{name}.key", pki.folder / "ca.crt")


def new_entry(seconds: float = 3600.0, email: str = "") -> Entry:
    """Return an entry with a fresh key that ends in so many seconds."""
    until = SystemClock().now() + timedelta(seconds=seconds)
    return entry(email or str(uuid4()), uuid4(), until)


class Control:
    """The control plane's hand: counts generations and remembers what the node confirmed."""

    def __init__(self, driver: NodeDriver) -> None:
        self.driver = driver
        self.generation = 0
        self.hash = EMPTY

    async def put_all(self, entries: Sequence[Entry]) -> Applied:
        return self._confirmed(await self.driver.put_set(self.generation + 1, entries))

    async def put(self, *entries: Entry) -> Applied:
        return await self.change(put=entries)

    async def remove(self, *emails: str, cut: bool = True) -> Applied:
        return await self.change(remove=emails, cut=cut)

    async def change(
        self, put: Sequence[Entry] = (), remove: Sequence[str] = (), *, cut: bool = True
    ) -> Applied:
        change = Change(
            generation=self.generation + 1,
            base_generation=self.generation,
            base_hash=self.hash,
            put=put,
            remove=remove,
            cut=cut,
        )
        return self._confirmed(await self.driver.change(change))

    def _confirmed(self, applied: Applied) -> Applied:
        self.generation, self.hash = applied.generation, applied.hash
        return applied
