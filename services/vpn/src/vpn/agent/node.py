"""The node as the control plane sees it: its state, people, traffic and connections."""

from __future__ import annotations

import asyncio
from datetime import datetime
from importlib.metadata import version
from typing import Protocol
from uuid import uuid4

from chassis.background import Background
from chassis.clock import Clock
from vpn import node_api
from vpn.agent.connections import Connections
from vpn.agent.desired_file import DesiredFile
from vpn.agent.keeper import Keeper
from vpn.agent.skew import Skew
from vpn.agent.traffic import Traffic


class Core(Protocol):
    """Whoever looks after the core: Supervisor, or ExternalCore where it is not ours."""

    begun: asyncio.Event
    """Set once a core runs, or cannot be started just now."""
    restarts: int
    trouble: str

    async def run(self, background: Background) -> None: ...

    async def stop(self, *, keep_core: bool) -> None: ...

    def wake(self) -> None: ...


class Node:
    """Puts together what the parts know."""

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        skew: Skew,
        file: DesiredFile,
        keeper: Keeper,
        core: Core,
        traffic: Traffic,
        connections: Connections,
    ) -> None:
        self.keeper = keeper
        self.certificate_until: datetime | None = None
        self._name = name
        self._clock = clock
        self._skew = skew
        self._file = file
        self._core = core
        self._traffic = traffic
        self._connections = connections
        self._boot_id = str(uuid4())
        self._version = version("vitrine-vpn")

    def hear(self, control_now: datetime) -> None:
        """Learn the control plane's clock; what follows from it is done at once."""
        if control_now.tzinfo is None:
            return
        was_great = self._skew.too_great
        self._skew.hear(control_now)
        if was_great != self._skew.too_great:
            self.keeper.wake()

    def state(self, certificate_trouble: str) -> node_api.State:
        keeper = self.keeper
        now = self._clock.now()
        return node_api.State(
            agent_version=self._version,
            node=self._name,
            boot_id=self._boot_id,
            core=self._core_state(now),
            generation=keeper.holding.generation,
            hash=keeper.holding.hash,
            entries=len(keeper.holding.entries),
            now=now,
            clock_skew_seconds=round(self._skew.seconds, 3),
            expiry_paused=keeper.expiry_paused,
            cut=self._connections.state,
            certificate_until=self.certificate_until,
            alerts=self._alerts(certificate_trouble, now),
        )

    def _core_state(self, now: datetime) -> node_api.CoreState:
        link = self.keeper.link
        return node_api.CoreState(
            kind=link.client.kind if link else "",
            version=link.version if link else "",
            running=link is not None,
            adopted=link.adopted if link else False,
            started_at=link.started_at if link else None,
            uptime_seconds=(now - link.started_at).total_seconds() if link else 0.0,
            restarts=self._core.restarts,
            synced=self.keeper.synced,
            pid=link.pid if link else 0,
            lists_users=link.client.lists_users if link else False,
        )

    def _alerts(self, certificate_trouble: str, now: datetime) -> list[str]:
        alerts = [
            self._file.damage,
            self.keeper.not_saved,
            self._traffic.damage,
            self._core.trouble,
            certificate_trouble,
        ]
        if self.keeper.expiry_paused:
            alerts.append(
                f"the clock is off by {self._skew.seconds:.0f} s: nobody is expired by it"
            )
        if self.certificate_until is not None and self.certificate_until <= now:
            alerts.append("the certificate has ended")
        return [one for one in alerts if one]

    async def users(self) -> node_api.Users:
        link = self.keeper.link
        if link is not None and link.client.lists_users:
            held = await link.client.users()
            source = node_api.SOURCE_CORE
        else:
            held = self.keeper.wanted()
            source = node_api.SOURCE_AGENT
        return node_api.Users(
            source,
            [
                node_api.HeldUser(one.email, one.key, one.flow, self._end_of(one.email))
                for one in held
            ],
        )

    def _end_of(self, email: str) -> datetime | None:
        one = self.keeper.holding.entries.get(email.lower())
        return None if one is None else one.expires_at

    async def traffic_page(self, after: str) -> node_api.TrafficPage:
        if not after:
            await self._traffic.refresh(self.keeper.link, self.keeper.holding.entries)
        return self._traffic.page(after)

    async def online(self) -> node_api.Online:
        if not self._connections.counts_online:
            return node_api.Online(supported=False)
        return node_api.Online(supported=True, counts=await self._connections.online())

    async def not_ready(self) -> str | None:
        """Return why people may not be served as the set says, or nothing."""
        if self.keeper.link is None:
            return self._core.trouble or "the core is not running yet"
        if not self.keeper.synced:
            return "the core is being brought into step"
        return None
