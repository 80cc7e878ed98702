"""A core that somebody else runs: compared anew whenever it may have been restarted.

Its uptime falls at a restart, but counts whole seconds only: two young lives look alike. A lost
connection says it at once, though not surely. Either makes us compare what the core holds.
"""

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
        self._link_before: Link | None = None
        self._connection: asyncio.Task[None] | None = None
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
            if self._connection is not None:
                self._connection.cancel()
            await client.close()

    async def stop(self, *, keep_core: bool) -> None:
        """Do nothing: the core is not ours, whatever `keep_core` says."""

    def wake(self) -> None:
        self._look.set()

    async def _until_silent(self, client: CoreClient, background: Background) -> None:
        """Use the core as long as it answers and has not been restarted."""
        try:
            uptime = await client.probe()
            link = await self._link(client, uptime, background)
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
                if self._restarted(await client.uptime()) or self._disconnected():
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

    def _disconnected(self) -> bool:
        """Whether the connection was lost since the life we know began."""
        return self._connection is None or self._connection.done()

    def _watch_connection(self, client: CoreClient, background: Background) -> None:
        if self._connection is not None:
            self._connection.cancel()
        self._connection = background.spawn(client.until_disconnected(), name="core connection")
        self._connection.add_done_callback(lambda _: self._look.set())

    async def _link(self, client: CoreClient, uptime: int, background: Background) -> Link:
        before, restarted = self._link_before, self._restarted(uptime)
        if before is not None and not restarted and not self._disconnected():
            return before  # it was silent for a while, no more
        self._watch_connection(client, background)
        self.restarts += before is not None
        self._born = (asyncio.get_running_loop().time(), uptime)
        link = Link(
            client,
            # The same in every life: which one it is nobody can say, and counters tell by falling.
            life=self._address,
            version="",
            started_at=self._clock.now() - timedelta(seconds=uptime),
            adopted=True,
        )
        ours = self._keeper.holding.entries.keys() | self._keeper.doubt()
        if client.lists_users:
            held = await client.users()
            link.view = {one.email: access(one) for one in held if one.email in ours}
        elif before is None or not restarted:
            # It may hold anything of ours from before; a new life is known to begin empty.
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
