"""A core that somebody else runs: watched by its uptime, filled anew when it falls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

from chassis import logs
from chassis.background import Background
from chassis.clock import Clock
from vpn.adapters.core.client import CoreClient
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError
from vpn.agent.keeper import Keeper
from vpn.agent.link import Link, access

log = logs.get("vpn.agent.external")
UPTIME_SLACK_SECONDS = 1.1
"""The core counts whole seconds, rounded down."""
MISSES_MAX = 3


class ExternalCore:
    """Same face as Supervisor, but it neither starts nor stops anything."""

    def __init__(
        self, *, address: str, tag: str, keeper: Keeper, clock: Clock, check_every: timedelta
    ) -> None:
        self._address = address
        self._tag = tag
        self._keeper = keeper
        self._clock = clock
        self._check_every = check_every.total_seconds()
        self._look = asyncio.Event()
        self._lives = 0
        self._link_before: Link | None = None
        self._born = (0.0, 0)
        self.restarts = 0
        self.trouble = ""

    async def run(self, background: Background) -> None:
        client = CoreClient(self._address, self._tag)
        try:
            while not background.stopping.is_set():
                await self._until_silent(client, background)
                self._keeper.core_down()
        finally:
            await client.close()

    async def stop(self, *, keep_core: bool) -> None:
        """Do nothing: the core is not ours, whatever `keep_core` says."""

    def wake(self) -> None:
        self._look.set()

    async def _until_silent(self, client: CoreClient, background: Background) -> None:
        """Use the core as long as it answers and has not been restarted."""
        try:
            uptime = await client.probe()
            link = await self._link(client, uptime)
        except (CoreUnreachableError, CoreRefusedError) as error:
            self.trouble = f"the core does not answer: {error}"
            await self._pause()
            return
        self.trouble = ""
        log.info("core_found", address=self._address, kind=client.kind, lists=client.lists_users)
        self._keeper.core_up(link)
        misses = 0
        while not background.stopping.is_set() and misses < MISSES_MAX:
            await self._pause()
            try:
                if self._restarted(await client.uptime()):
                    log.warning("core_restarted", address=self._address)
                    return
                misses, self.trouble = 0, ""
            except (CoreUnreachableError, CoreRefusedError) as error:
                misses += 1
                self.trouble = f"the core does not answer: {error}"

    def _restarted(self, uptime: int) -> bool:
        """Whether the uptime is less than the life we know would have by now."""
        born_at, counted = self._born
        expected = counted + (asyncio.get_running_loop().time() - born_at)
        return uptime + UPTIME_SLACK_SECONDS < expected

    async def _link(self, client: CoreClient, uptime: int) -> Link:
        before = self._link_before
        if before is not None and not self._restarted(uptime):
            return before  # it was silent for a while, no more
        self.restarts += before is not None
        self._lives += 1
        self._born = (asyncio.get_running_loop().time(), uptime)
        link = Link(
            client,
            life=f"{self._address}#{self._lives}",
            version="",
            started_at=self._clock.now() - timedelta(seconds=uptime),
            adopted=True,
        )
        ours = self._keeper.holding.entries.keys() | self._keeper.doubt()
        if client.lists_users:
            held = await client.users()
            link.view = {one.email: access(one) for one in held if one.email in ours}
        elif before is None:
            # It may hold anything of ours from before; a later life is known to begin empty.
            link.doubtful = set(ours)
        if before is not None:
            link.doubtful |= before.doubtful
        self._link_before = link
        return link

    async def _pause(self) -> None:
        self._look.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._check_every):
                await self._look.wait()
