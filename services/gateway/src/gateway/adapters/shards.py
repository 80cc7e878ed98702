"""Divides the shards of users among replicas: one lease per replica, the rest is arithmetic."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.database import UNAVAILABLE
from chassis.errors import TransientError
from chassis.key_value import Change as KeyChange
from chassis.key_value import KeyValue, KeyWatch
from contracts import topology
from contracts.generator import SHARDS

log = logs.get("gateway.shards")
PREFIX = "gateway.replica."
SAFETY = 0.8
"""A replica gives up this part of the lease's time before others stop counting on it."""
Moved = Callable[[frozenset[int]], Awaitable[None]]


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
        acquired: Moved,
        released: Moved,
        on_held: Callable[[], None] = lambda: None,
        ttl: timedelta = topology.LEASE_TTL,
        renew_every: timedelta = topology.LEASE_RENEW_EVERY,
    ) -> None:
        self._leases = leases
        self._background = background
        self._replica = replica
        self._key = f"{PREFIX}{replica}"
        self._acquired = acquired
        self._released = released
        self._on_held = on_held
        """Told once `held` names the shards that were acquired: work that waits there is due."""
        self._ttl = ttl.total_seconds()
        self._renew_every = renew_every.total_seconds()
        self._others: dict[str, tuple[float, Member]] = {}
        """When each other replica was last heard of, and what it said."""
        self.held: frozenset[int] = frozenset()
        self._said_at = float("-inf")
        self._lapsed = False
        """We were silent for too long: others may have taken what we hold."""
        self._claimed: frozenset[int] = frozenset()
        """What we say we hold; shards in it that are not `held` are being taken."""
        self._changed = asyncio.Event()
        self._echo = asyncio.Event()
        self._heard_revision = 0
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
        async for change in watch.initial():
            self._hear(change)
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
            self._hear(change)

    def _hear(self, change: KeyChange) -> None:
        name = change.key.removeprefix(PREFIX)
        if name == self._replica:
            if change.entry is not None:
                self._heard_revision = change.entry.revision
                self._echo.set()
        elif change.entry is None:
            self._others.pop(name, None)
            self._changed.set()
        else:
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

    async def _say(self) -> int | None:
        """Write what we claim; return its place among all words, or None if it was not heard."""
        before = asyncio.get_running_loop().time()
        value = msgspec.json.encode(Member(tuple(sorted(self._claimed))))
        until = before + self._renew_every
        if self.alive:
            # Not past the moment at which we have to let go.
            until = min(until, self._said_at + self._ttl * SAFETY)
        try:
            async with asyncio.timeout_at(until):
                revision = await self._leases.put(self._key, value)
        except (TransientError, TimeoutError) as error:
            log.warning("replica_not_heard", reason=type(error).__name__)
            return None
        # The word after a long silence brings back our life, but not what we held.
        self._lapsed |= bool(self._claimed) and not self.alive
        self._said_at = before
        return revision

    @asynccontextmanager
    async def _saying(self) -> AsyncIterator[None]:
        """Go on saying that we live, however long the work inside takes.

        To move shards is to wait for uploads and for Postgres. Others who did not hear of us
        meanwhile would take all our shards, and do once more what we are still doing.
        """
        saying = self._background.spawn(self._say_on(), name="shards-say")
        try:
            yield
        finally:
            saying.cancel()
            await asyncio.wait({saying})

    async def _say_on(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            await self._say()

    async def _settle(self) -> None:
        """Let go of what is no longer ours; take what is ours and free."""
        wanted = self._wanted() if self.alive and not self._lapsed else frozenset()
        self._lapsed = False
        surplus = self.held - wanted
        if surplus:
            await self._let_go(surplus)
            await self._say()
        free = wanted - self.held - self._busy()
        if not free or not self.alive:
            return
        won = await self._claim(free)
        if not won:
            return
        try:
            async with self._saying():
                await self._acquired(won)
        except (TransientError, *UNAVAILABLE) as error:
            log.warning("shards_not_taken", reason=type(error).__name__)
            self._claimed = self.held  # tried again in a second
            return
        self.held |= won
        self._on_held()
        log.info("shards_taken", taken=len(won), held=len(self.held))

    async def _claim(self, free: frozenset[int]) -> frozenset[int]:
        """Say what we take, and keep what nobody said before us.

        Words have one order. Once our own comes back, all earlier ones were heard: of two replicas
        that claim a shard at the same time exactly the later one sees the other's claim.
        """
        self._claimed = self.held | free
        revision = await self._say()
        won = frozenset[int]()
        if revision is not None and await self._heard(revision):
            won = free - self._busy()
        if won != free:
            self._claimed = self.held | won
            await self._say()
        return won

    async def _heard(self, revision: int) -> bool:
        """Whether our own word came back in time."""
        try:
            async with asyncio.timeout(self._renew_every):
                while self._heard_revision < revision:
                    self._echo.clear()
                    await self._echo.wait()
        except TimeoutError:
            return False
        return True

    async def _let_go(self, shards: frozenset[int]) -> None:
        self.held -= shards  # no new work begins there; others wait for what we claim
        try:
            async with self._saying():
                await self._released(shards)
        finally:
            self._claimed = self.held
        log.info("shards_released", released=len(shards), held=len(self.held))

    def _busy(self) -> frozenset[int]:
        """What live replicas say they hold; one not heard of for the lease's time is dead."""
        now = asyncio.get_running_loop().time()
        self._others = {
            name: (heard, member)
            for name, (heard, member) in self._others.items()
            if now < heard + self._ttl
        }
        return frozenset(shard for _, member in self._others.values() for shard in member.held)

    def _wanted(self) -> frozenset[int]:
        self._busy()  # forgets the dead
        names = [self._replica, *self._others]
        return frozenset(shard for shard in range(SHARDS) if owner(shard, names) == self._replica)


def owner(shard: int, replicas: list[str]) -> str:
    """Rendezvous hashing: the replica that draws the highest number for this shard."""
    return max(replicas, key=lambda name: hashlib.sha256(f"{shard}:{name}".encode()).digest())
