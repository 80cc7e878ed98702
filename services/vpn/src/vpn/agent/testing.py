"""What tests of agents and of whoever drives them share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from chassis.background import Background
from chassis.clock import SystemClock
from chassis.testing import drain
from vpn import node_api
from vpn.adapters.nodes.tls import TlsFiles
from vpn.agent.connections import Connections
from vpn.agent.desired_file import DesiredFile
from vpn.agent.external import ExternalCore
from vpn.agent.keeper import Keeper
from vpn.agent.pki import CONTROL, Pki
from vpn.agent.skew import Skew
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


class MovableClock:
    """The node's own clock, which somebody sets wrong."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


class Bench:
    """A keeper over a core of gRPC alone, which somebody else runs."""

    def __init__(
        self,
        folder: Path,
        core: Any,
        ahead: timedelta = timedelta(),
        *,
        address: str = "",
        compare_every_seconds: float = 60.0,
    ) -> None:
        self.core = core
        self.folder = folder
        self.clock = MovableClock()
        self.clock.ahead = ahead
        self.skew = Skew(self.clock, folder)
        self.skew.load()
        self.background = Background()
        self.file = DesiredFile(folder)
        self.file.load()
        connections = Connections(folder, 0, self.background, follow=False)
        self.keeper = Keeper(
            self.file,
            self.clock,
            self.skew,
            connections,
            compare_every_seconds=compare_every_seconds,
        )
        self.external = ExternalCore(
            address=address or core.address,
            tag="vless",
            keeper=self.keeper,
            clock=self.clock,
            check_every=timedelta(seconds=0.1),
        )

    async def start(self) -> None:
        self.background.spawn(self.keeper.run(self.background), name="keeper")
        self.background.spawn(self.external.run(self.background), name="core")
        compare = self.keeper.compare_now_and_then(self.background)
        self.background.spawn(compare, name="compare")

    async def stop(self) -> None:
        self.background.stopping.set()
        self.keeper.wake()
        self.external.wake()
        await self.background.stop(timedelta(seconds=5))
        self.file.close()

    async def put_all(self, generation: int, *entries: Entry) -> node_api.Applied:
        return await self.keeper.put_set(
            node_api.SetRequest(generation, SystemClock().now(), list(entries))
        )

    async def looked(self) -> None:
        """Return when the keeper has looked at its clock, and done what follows from it."""
        for _ in range(2):
            self.keeper.wake()
            looked = partial(self._looked_after, self.keeper.looks)
            await drain(looked, what="a look at the clock")

    async def _looked_after(self, looks: int) -> bool:
        return self.keeper.looks > looks

    def holds(self, *entries: Entry) -> bool:
        return set(self.core.users) == {one.email for one in entries}


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
