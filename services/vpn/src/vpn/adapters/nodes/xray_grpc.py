"""A core reached straight through its gRPC, for development: it has no authentication at all.

What it cannot do, an agent can: it keeps nothing on disk, so generations and counters begin anew
with this process; it expires nobody; it cuts no connection; a core's restart is noticed only when
somebody asks for the state. Never over a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter
from uuid import uuid4

from chassis.clock import Clock
from vpn import node_api
from vpn.adapters.core import bulk
from vpn.adapters.core.client import CoreClient, CoreUser
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError, UnsupportedError
from vpn.domain.desired import Difference, Entry, diff
from vpn.domain.set_hash import set_hash
from vpn.ports.nodes import Change, NodeRefusedError, NodeUnreachableError

NO_CUT = "only an agent beside the core can end connections"
NO_EXPIRY = "nobody is expired here: only an agent does that"
UPTIME_SLACK_SECONDS = 1.5


class XrayGrpcNode:
    """One core's driver."""

    def __init__(self, name: str, address: str, inbound_tag: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._client = CoreClient(address, inbound_tag)
        self._boot_id = str(uuid4())
        self._entries: dict[str, Entry] = {}
        self._generation = 0
        self._started_at: float | None = None
        self._restarts = 0

    async def state(self) -> node_api.State:
        now = self._clock.now()
        uptime = await self._ready()
        return node_api.State(
            agent_version="",
            node=self.name,
            boot_id=self._boot_id,
            core=node_api.CoreState(
                kind=self._client.kind,
                version="",
                running=True,
                adopted=True,
                started_at=now - timedelta(seconds=uptime),
                uptime_seconds=uptime,
                restarts=self._restarts,
                lists_users=self._client.lists_users,
            ),
            generation=self._generation,
            hash=set_hash(self._entries.values()),
            entries=len(self._entries),
            now=now,
            clock_skew_seconds=0.0,
            expiry_paused=True,
            cut=node_api.CutState(supported=False, reason=NO_CUT),
            certificate_until=None,
            alerts=[NO_EXPIRY],
        )

    async def put_set(
        self, generation: int, entries: Sequence[Entry], *, cut: bool = True
    ) -> node_api.Applied:
        del cut  # see NO_CUT
        await self._ready()
        self._refuse_older(generation)
        new = {one.email: one for one in entries}
        return await self._apply(generation, diff(self._entries, new))

    async def change(self, change: Change) -> node_api.Applied:
        await self._ready()
        self._refuse_older(change.generation)
        put = tuple(one for one in change.put if self._entries.get(one.email) != one)
        difference = Difference(put, tuple(change.remove))
        held = any(email in self._entries for email in change.remove)
        repeated = change.generation == self._generation
        other = change.base_hash != set_hash(self._entries.values())
        if (put or held) and (repeated or other):
            raise self._refusal(node_api.OTHER_BASE, "the difference is to another set")
        return await self._apply(change.generation, difference)

    async def users(self) -> node_api.Users | None:
        await self._ready()
        try:
            held = await self._client.users()
        except UnsupportedError:
            return None
        except (CoreUnreachableError, CoreRefusedError) as error:
            raise self._unreachable(error) from error
        users = [
            node_api.HeldUser(one.email, one.key, one.flow, self._end_of(one.email)) for one in held
        ]
        return node_api.Users(node_api.SOURCE_CORE, users)

    def _end_of(self, email: str) -> datetime | None:
        one = self._entries.get(email.lower())
        return None if one is None else one.expires_at

    async def traffic(self, after: str = "") -> node_api.TrafficPage | None:
        """Return what the core counted since its own start."""
        await self._ready()
        try:
            counted = await self._client.traffic()
        except (CoreUnreachableError, CoreRefusedError) as error:
            raise self._unreachable(error) from error
        emails = sorted(email for email in counted if email > after)
        page = emails[: node_api.TRAFFIC_PAGE]
        users = [
            node_api.UserTraffic(email, counted[email].up_bytes, counted[email].down_bytes)
            for email in page
        ]
        return node_api.TrafficPage(users, page[-1] if len(emails) > len(page) else "")

    async def online(self) -> dict[str, int]:
        return {}

    async def close(self) -> None:
        await self._client.close()

    async def _ready(self) -> float:
        """Return the core's uptime; when it fell, the core forgot everybody."""
        try:
            uptime = float(
                await (self._client.uptime() if self._client.kind else self._client.probe())
            )
        except (CoreUnreachableError, CoreRefusedError) as error:
            raise self._unreachable(error) from error
        started_at = self._clock.now().timestamp() - uptime
        if self._started_at is not None and started_at > self._started_at + UPTIME_SLACK_SECONDS:
            self._restarts += 1
            self._entries = {}
        self._started_at = (
            started_at
            if self._started_at is None or not self._entries
            else min(started_at, self._started_at)
        )
        return uptime

    async def _apply(self, generation: int, difference: Difference) -> node_api.Applied:
        began = perf_counter()
        replaced = [one.email for one in difference.put if one.email in self._entries]
        rotated = [
            one.email
            for one in difference.put
            if one.email in self._entries and not one.same_access(self._entries[one.email])
        ]
        outcome = await bulk.alter(
            self._client,
            remove=[*difference.remove, *rotated],
            put_users=[CoreUser(one.email, one.key, one.flow) for one in difference.put],
        )
        for email in {*difference.remove, *rotated}.difference(outcome.failed):
            self._entries.pop(email, None)
        for one in difference.put:
            if one.email not in outcome.failed:
                self._entries[one.email] = one
        if outcome.failed:
            why = next(iter(outcome.failed.values()))
            raise NodeUnreachableError(f"{self.name}: {len(outcome.failed)} not applied: {why}")
        self._generation = generation
        return node_api.Applied(
            generation=generation,
            hash=set_hash(self._entries.values()),
            added=len(difference.put) - len(replaced),
            removed=len(difference.remove),
            replaced=len(rotated),
            took_seconds=perf_counter() - began,
        )

    def _refuse_older(self, generation: int) -> None:
        if generation < self._generation:
            raise self._refusal(
                node_api.OLDER_GENERATION, f"{generation} is older than {self._generation}"
            )

    def _refusal(self, code: str, message: str) -> NodeRefusedError:
        return NodeRefusedError(
            code,
            f"{self.name}: {message}",
            generation=self._generation,
            hash=set_hash(self._entries.values()),
        )

    def _unreachable(self, error: Exception) -> NodeUnreachableError:
        return NodeUnreachableError(f"{self.name}: {error}")
