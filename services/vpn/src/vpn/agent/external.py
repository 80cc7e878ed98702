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
        self._known: Link | None = None
        self._doubtful: set[str] = set()
        self._connection: asyncio.Task[None] | None = None
        self._born = (0.0, 0)
        self._seen_at = 0.0
        """When the life we know was asked for the last answer we have from it."""
        self.begun = asyncio.Event()
        self.begun.set()
        self.restarts = 0
        self.trouble = ""

    async def run(self, background: Background) -> None:
        client = CoreClient(self._address, self._tag)
        loop = asyncio.get_running_loop()
        try:
            while not background.stopping.is_set():
                began = loop.time()
                await self._until_silent(client, background)
                self._keeper.core_down()
                # Connections that end as soon as they begin must not make us compare without end.
                await background.pause(max(0.0, began + self._check_every - loop.time()))
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
        asked_at = asyncio.get_running_loop().time()
        try:
            uptime = await client.probe()
            link = await self._link(client, uptime, asked_at, background)
        except (CoreUnreachableError, CoreRefusedError) as error:
            self.trouble = f"the core does not answer: {error}"
            return
        self.trouble = ""
        log.info("core_found", address=self._address, kind=client.kind, lists=client.lists_users)
        self._keeper.core_up(link)
        misses = 0
        while not background.stopping.is_set() and misses < MISSES_MAX:
            await self._pause()
            asked_at = asyncio.get_running_loop().time()
            try:
                same = self._same_life(await client.uptime(), asked_at)
            except (CoreUnreachableError, CoreRefusedError) as error:
                misses += 1
                self.trouble = f"the core does not answer: {error}"
                continue
            if not same:
                log.warning("core_restarted", address=self._address)
                return
            misses, self.trouble = 0, ""
            self._watch_connection(client, background)
            self._keeper.core_answers()

    def _same_life(self, uptime: int, asked_at: float) -> bool:
        """Whether the core that answers is surely the one we know."""
        born_at, counted = self._born
        # What it has by the time it is asked for, not when it is told: an answer may be late.
        if uptime + UPTIME_SLACK_SECONDS < counted + (asked_at - born_at):
            return False
        lost = self._connection is None or self._connection.done()
        # A new life could only have begun since the last answer of the old one.
        if lost and uptime <= asyncio.get_running_loop().time() - self._seen_at:
            return False
        self._seen_at = asked_at
        return True

    def _watch_connection(self, client: CoreClient, background: Background) -> None:
        if self._connection is None or self._connection.done():
            task = background.spawn(client.until_disconnected(), name="core connection")
            task.add_done_callback(lambda _: self._look.set())
            self._connection = task

    async def _link(
        self, client: CoreClient, uptime: int, asked_at: float, background: Background
    ) -> Link:
        known = self._known
        if known is not None and self._same_life(uptime, asked_at):
            self._watch_connection(client, background)
            return known  # it was silent for a while, no more
        if known is not None:
            self._doubtful |= known.doubtful
            # Should the rest fail, what the old life held must not count for the new one.
            self._known = None
        self._watch_connection(client, background)
        self.restarts += known is not None
        self._born, self._seen_at = (asyncio.get_running_loop().time(), uptime), asked_at
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
            link.doubtful = set(self._doubtful)
        else:
            # It may hold anything of ours from before: that it began anew is not sure.
            link.doubtful = ours | self._doubtful
        self._known, self._doubtful = link, set()
        return link

    async def _pause(self) -> None:
        self._look.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._check_every):
                await self._look.wait()
