"""A node in memory that behaves like an agent, and misbehaves on demand: for tests and benches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from chassis.clock import Clock
from vpn import node_api
from vpn.domain.desired import Difference, Entry, apply, by_email, diff, shared_keys
from vpn.domain.set_hash import SetHash, digest
from vpn.ports.nodes import Change, NodeRefusedError, NodeUnreachableError


@dataclass(slots=True)
class Faults:
    """What is wrong with the node now."""

    away: bool = False
    hangs: bool = False
    """Until this is unset; then the call fails as one that timed out."""
    refuses: str = ""
    lists_nobody: bool = False
    omits: frozenset[str] = frozenset()
    """Emails it does not list, though it holds them."""
    lies: bool = False
    """It says it applied what it did not."""
    loses_answers: bool = False
    """It does what it is told, and the answer never arrives."""


@dataclass(slots=True)
class MemoryNode:
    """`held` is what its core lets pass; `foreign` what somebody else put there."""

    name: str
    clock: Clock
    faults: Faults = field(default_factory=Faults)
    held: dict[str, Entry] = field(default_factory=dict)
    foreign: dict[str, UUID] = field(default_factory=dict)
    bytes_by_email: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    boot_id: str = field(default_factory=lambda: str(uuid4()))
    calls: list[str] = field(default_factory=list)
    hash: SetHash = field(default_factory=SetHash)
    skew_seconds: float = 0.0
    epoch: str = ""
    """Of the disk that its counters are on."""
    core_running: bool = True
    certificate_until: datetime | None = None

    async def state(self) -> node_api.State:
        await self._called("state")
        core = node_api.CoreState("memory", "1", self.core_running, False, None, 1.0, 0)
        return node_api.State(
            agent_version="memory",
            node=self.name,
            boot_id=self.boot_id,
            core=core,
            generation=self.generation,
            hash=self.hash.hex(),
            entries=len(self.held),
            now=self.clock.now(),
            clock_skew_seconds=self.skew_seconds,
            expiry_paused=False,
            cut=node_api.CutState(supported=True),
            certificate_until=self.certificate_until,
        )

    async def put_set(
        self, generation: int, entries: Sequence[Entry], *, cut: bool = True
    ) -> node_api.Applied:
        del cut
        await self._called("put_set")
        if generation < self.generation:
            raise self._refusal(node_api.OLDER_GENERATION)
        if len(by_email(entries)) != len(entries) or any(True for _ in shared_keys(entries)):
            raise self._refusal(node_api.INVALID)
        return await self._apply(generation, diff(self.held, by_email(entries)))

    async def change(self, change: Change) -> node_api.Applied:
        await self._called("change")
        if change.generation < self.generation:
            raise self._refusal(node_api.OLDER_GENERATION)
        difference = self._effective(change)
        repeated = change.generation == self.generation
        if (repeated and difference) or (not repeated and change.base_hash != self.hash.hex()):
            raise self._refusal(node_api.OTHER_BASE)
        new = apply(self.held, difference)
        if any(True for _ in shared_keys(new.values())):
            raise self._refusal(node_api.INVALID)
        return await self._apply(change.generation, difference)

    def _effective(self, change: Change) -> Difference:
        """As strict as an agent: what is held already is no difference."""
        put = by_email(change.put)
        if len(put) != len(change.put) or not put.keys().isdisjoint(change.remove):
            raise self._refusal(node_api.INVALID)
        changed = tuple(one for one in put.values() if self.held.get(one.email) != one)
        return Difference(changed, tuple(email for email in change.remove if email in self.held))

    async def users(self) -> node_api.Users | None:
        await self._called("users")
        faults = self.faults
        listed = (one for email, one in self.held.items() if email not in faults.omits)
        held = [] if faults.lists_nobody else list(listed)
        ours = [node_api.HeldUser(one.email, one.key, one.flow, one.expires_at) for one in held]
        foreign = [node_api.HeldUser(email, key) for email, key in self.foreign.items()]
        return node_api.Users(node_api.SOURCE_CORE, [*ours, *foreign])

    async def traffic(self, after: str = "") -> node_api.TrafficPage | None:
        await self._called("traffic")
        emails = sorted(email for email in self.bytes_by_email if email > after)
        page = emails[: node_api.TRAFFIC_PAGE]
        users = [node_api.UserTraffic(email, 0, self.bytes_by_email[email]) for email in page]
        more = page[-1] if len(emails) > len(page) else ""
        return node_api.TrafficPage(users, more, self.epoch)

    async def online(self) -> Mapping[str, int]:
        await self._called("online")
        return dict(self.addresses)

    async def close(self) -> None:
        """Nothing to close."""

    def restart(self, *, wiped: bool = False) -> None:
        self.boot_id = str(uuid4())
        if wiped:
            self.held, self.hash, self.generation = {}, SetHash(), 0

    def corrupt(self, held: Mapping[str, Entry]) -> None:
        """Have it hold something else, as if somebody had changed it behind our back."""
        self.held = dict(held)
        self.hash = SetHash(sum(map(digest, held.values())))

    async def _called(self, call: str) -> None:
        self.calls.append(call)
        while self.faults.hangs:
            await asyncio.sleep(0.01)
            if not self.faults.hangs:
                raise NodeUnreachableError("no answer in time")
        if self.faults.away:
            raise NodeUnreachableError("nobody answers")
        if self.faults.refuses:
            raise NodeRefusedError(self.faults.refuses)

    async def _apply(self, generation: int, difference: Difference) -> node_api.Applied:
        applied = node_api.Applied(generation, self.hash.hex())
        if not self.faults.lies:
            self._take(difference)
            applied = node_api.Applied(
                generation,
                self.hash.hex(),
                added=len(difference.put),
                removed=len(difference.remove),
            )
        self.generation = generation
        if self.faults.loses_answers:
            raise NodeUnreachableError("the answer was lost")
        return applied

    def _take(self, difference: Difference) -> None:
        for email in {*difference.remove, *(each.email for each in difference.put)}:
            if email in self.held:
                self.hash.remove(self.held[email])
        for entry in difference.put:
            self.hash.add(entry)
        self.held = apply(self.held, difference)

    def _refusal(self, code: str) -> NodeRefusedError:
        return NodeRefusedError(code, generation=self.generation, hash=self.hash.hex())
