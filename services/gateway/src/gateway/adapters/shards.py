"""Divides the shards of users among replicas: one lease per replica, the rest is arithmetic."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.database import UNAVAILABLE
from chassis.errors import TransientError
from chassis.key_value import KeyValue, KeyWatch
from contracts import topology
from contracts.generator import SHARDS

log = logs.get("gateway.shards")
PREFIX = "gateway.replica."
SAFETY = 0.8
"""A replica gives up this part of the lease's time before others stop counting on it."""
Change = Callable[[frozenset[int]], Awaitable[None]]


class Member(msgspec.Struct, frozen=True):
    """What a replica says of itself every second: the shards it has not let go of yet."""

    held: tuple[int, ...] = ()


class Shards:
    """Which shards this replica holds.

    The owner of a shard is the live replica with the highest hash of (shard, replica), so all
    agree without talking, and a change moves only what it must. A new owner waits until no live
    replica says that it still holds the shard; the old one says so until its last update is done.
    """

    def __init__(
        self,
        leases: KeyValue,
        background: Background,
        *,
        replica: str,
        acquired: Change,
        released: Change,
        ttl: timedelta = topology.LEASE_TTL,
        renew_every: timedelta = topology.LEASE_RENEW_EVERY,
    ) -> None:
        self._leases = leases
        self._background = background
        self._replica = replica
        self._key = f"{PREFIX}{replica}"
        self._acquired = acquired
        self._released = released
        self._ttl = ttl.total_seconds()
        self._renew_every = renew_every.total_seconds()
        self._others: dict[str, tuple[float, Member]] = {}
        """When each other replica was last heard of, and what it said."""
        self.held: frozenset[int] = frozenset()
        self._said_at = float("-inf")
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()

    @property
    def alive(self) -> bool:
        """Whether the others still count on us: our last word is young enough."""
        return asyncio.get_running_loop().time() < self._said_at + self._ttl * SAFETY

    async def run(self) -> None:
        """Say that we live, hear who else does, take and let go of shards; until stopped.

        At the end every shard is let go of and goodbye is said, so that others take them at once.
        """
        watch = self._leases.watch(PREFIX)
        listening = self._background.spawn(self._listen(watch), name="shards-listen")
        self._gone.clear()
        try:
            await self._say()
            while not self._background.stopping.is_set():
                await self._settle()
                await self._pause()
                await self._say()
        finally:
            await watch.stop()
            await asyncio.wait({listening})
            await self._leave()
            self._gone.set()

    async def stop(self) -> None:
        """Wake `run`, which sees that the process stops, and wait for its goodbye."""
        self._changed.set()
        await self._gone.wait()

    async def _leave(self) -> None:
        if self.held:
            await self._let_go(self.held)
        try:
            await self._leases.delete(self._key)
        except TransientError as error:
            log.info("replica_left_to_expire", reason=type(error).__name__)

    async def _listen(self, watch: KeyWatch) -> None:
        async for change in watch:
            name = change.key.removeprefix(PREFIX)
            if name == self._replica:
                continue
            if change.entry is None:
                self._others.pop(name, None)
                self._changed.set()
                continue
            member = msgspec.json.decode(change.entry.value, type=Member)
            known = self._others.get(name)
            self._others[name] = (asyncio.get_running_loop().time(), member)
            if known is None or known[1] != member:
                self._changed.set()

    async def _pause(self) -> None:
        """Until the next word is due, or somebody came, went or let go of something."""
        self._changed.clear()
        try:
            async with asyncio.timeout(self._renew_every):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _say(self) -> None:
        before = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._renew_every):
                value = msgspec.json.encode(Member(tuple(sorted(self.held))))
                await self._leases.put(self._key, value)
            self._said_at = before
        except (TransientError, TimeoutError) as error:
            log.warning("replica_not_heard", reason=type(error).__name__)

    async def _settle(self) -> None:
        """Let go of what is no longer ours; take what is ours and free."""
        now = asyncio.get_running_loop().time()
        self._others = {
            name: (heard, member)
            for name, (heard, member) in self._others.items()
            if now < heard + self._ttl
        }
        wanted = self._wanted() if self.alive else frozenset()
        surplus = self.held - wanted
        if surplus:
            await self._let_go(surplus)
            await self._say()
        busy = {shard for _, member in self._others.values() for shard in member.held}
        free = wanted - self.held - busy
        if free and self.alive:
            self.held |= free
            await self._say()  # before the first update is taken: the others then wait for us
            try:
                await self._acquired(free)
            except (TransientError, *UNAVAILABLE) as error:
                log.warning("shards_not_taken", reason=type(error).__name__)
                self.held -= free  # tried again in a second
                return
            log.info("shards_taken", taken=len(free), held=len(self.held))

    async def _let_go(self, shards: frozenset[int]) -> None:
        await self._released(shards)
        self.held -= shards
        log.info("shards_released", released=len(shards), held=len(self.held))

    def _wanted(self) -> frozenset[int]:
        names = [self._replica, *self._others]
        return frozenset(shard for shard in range(SHARDS) if owner(shard, names) == self._replica)


def owner(shard: int, replicas: list[str]) -> str:
    """Rendezvous hashing: the replica that draws the highest number for this shard."""
    return max(replicas, key=lambda name: hashlib.sha256(f"{shard}:{name}".encode()).digest())
