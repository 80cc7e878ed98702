"""Live connections: who has how many, and ending those of whoever may pass no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from chassis import logs
from chassis.background import Background
from vpn.agent import journal, netlink
from vpn.agent.access_log import AccessLog, Peers
from vpn.agent.netlink import Address, Connection
from vpn.node_api import CutState

log = logs.get("vpn.agent.connections")
SAVE_EVERY_SECONDS = 10.0
SECOND_LOOK_SECONDS = 0.3
"""A connection accepted just before the removal may not have been logged yet."""
PEERS_FILE = "peers"
FIFO = "access.pipe"


class Connections:
    """Of one local port. `port` 0: where people connect is not known, so nothing is cut."""

    def __init__(
        self, folder: Path, port: int, background: Background, *, follow: bool = True
    ) -> None:
        self.pipe = folder / FIFO if follow else None
        self._port = port
        self._background = background
        self._peers = Peers()
        self._file = folder / PEERS_FILE
        self._log = AccessLog(self.pipe, self._peers.add) if self.pipe else None
        self._sees = False
        self.state = CutState(supported=False, reason="not looked at yet")

    @property
    def counts_online(self) -> bool:
        return self._log is not None and self._sees

    def open(self) -> None:
        """Begin to follow; `state` then says whether connections can be cut, and if not, why."""
        reason = netlink.why_not_ending()
        self._sees = bool(self._port) and self._kernel_shows()
        if self._log is None:
            reason = reason or "the access log is not followed, so nobody's address is known"
        else:
            self._load()
            self._log.open()
        if not self._port:
            reason = reason or "the port people connect to is not known"
        self.state = CutState(supported=not reason, reason=reason)

    def _kernel_shows(self) -> bool:
        try:
            netlink.connections(self._port)
        except OSError as error:
            log.warning("connections_not_shown", why=error.strerror)
            return False
        return True

    async def cut(self, emails: Iterable[str], still_gone: Callable[[str], bool]) -> int:
        """End the connections of these people; return how many. Nothing where it cannot be.

        A moment later it looks again, at whoever is `still_gone`: whoever came back meanwhile, with
        a new key, must not lose the new connection.
        """
        if not self.state.supported:
            return 0
        who = list(emails)
        ended = await self._end(who)
        self._background.spawn(self._cut_again(who, still_gone), name="cut-again")
        return ended

    async def _cut_again(self, emails: list[str], still_gone: Callable[[str], bool]) -> None:
        if not await self._background.pause(SECOND_LOOK_SECONDS):
            await self._end([email for email in emails if still_gone(email)])

    async def _end(self, emails: list[str]) -> int:
        peers = {peer for email in emails for peer in self._peers.of(email)}
        if not peers:
            return 0
        return await asyncio.get_running_loop().run_in_executor(None, self._end_all, peers)

    def _end_all(self, peers: set[Address]) -> int:
        ended = 0
        for one in netlink.connections(self._port):
            if one.peer in peers:
                ended += self._end_one(one)
        return ended

    def _end_one(self, one: Connection) -> bool:
        try:
            return netlink.end(one)
        except OSError as error:
            log.warning("connection_not_cut", why=error.strerror)
            return False

    async def online(self) -> dict[str, int]:
        """Return how many addresses each person has live connections from."""
        await self._forget_ended()
        return {
            email: len({address for address, _ in peers})
            for email, peers in self._peers.as_lists().items()
        }

    async def _forget_ended(self) -> None:
        live = await asyncio.get_running_loop().run_in_executor(
            None, netlink.connections, self._port
        )
        self._peers.keep({one.peer for one in live})

    # Between lives of the agent, so that connections older than it can be cut too.

    def _load(self) -> None:
        try:
            records, _ = journal.unframed(self._file.read_bytes())
        except FileNotFoundError:
            return
        for record in records:
            known = msgspec.msgpack.decode(record, type=dict[str, list[Address]])
            for email, peers in known.items():
                for peer in peers:
                    self._peers.add(email, peer)

    async def run(self) -> None:
        """Keep the table small and saved until the agent stops."""
        while self._log is not None and not await self._background.pause(SAVE_EVERY_SECONDS):
            await self.save()

    async def save(self) -> None:
        if self._log is None:
            return
        if self._sees:
            await self._forget_ended()
        data = journal.framed(msgspec.msgpack.encode(self._peers.as_lists()))
        await asyncio.get_running_loop().run_in_executor(None, journal.replace, self._file, data)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
