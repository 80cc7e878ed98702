"""Whether this server may be given jobs: probed while idle, quarantined when sick."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chassis import logs
from contracts.catalogue import Catalogue
from generator.domain.attempts import Sickness
from generator.domain.errors import ServerAnswerError, ServerUnreachableError
from generator.domain.graphs import classes_of
from generator.domain.prompts import Where
from generator.ports import ComfyServer

log = logs.get("generator.server")


class ServerHealth:
    """`reason` says why the server gets no job; empty: it does. `pools` are those it can run."""

    def __init__(
        self,
        pools: Sequence[str],
        *,
        quarantine: float,
        pool_out: float,
        probe_every: float,
        sick_probe_every: float,
    ) -> None:
        self.sickness = Sickness.GONE
        self.reason = "not probed yet"
        self._wanted = tuple(pools)
        self._out: dict[str, float] = {}
        self._quarantine = quarantine
        self._pool_out = pool_out
        self._probe_every = probe_every
        self._sick_probe_every = sick_probe_every
        self._since = 0.0
        self._connections = 0
        self._stuck_prompt = ""
        self._server: ComfyServer | None = None
        self._news = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None

    @property
    def well(self) -> bool:
        return self.sickness is Sickness.NONE

    @property
    def pools(self) -> tuple[str, ...]:
        now = asyncio.get_running_loop().time()
        return tuple(pool for pool in self._wanted if self._out.get(pool, 0.0) <= now)

    async def report(self) -> str | None:
        """What is wrong with it, in one sentence, or None."""
        if not self.well:
            return f"ComfyUI: {self.reason}"
        return None if self.pools else "ComfyUI: lacks the nodes of every pool"

    def mark(self, sickness: Sickness, reason: str, *, prompt_id: str = "") -> None:
        """Give the server no job from now on."""
        if self.sickness in {Sickness.STUCK, Sickness.BROKEN} and sickness is Sickness.GONE:
            return  # the graver finding stays: an answer to a probe does not heal it
        log.warning("server_sick", sickness=sickness.value, reason=reason)
        self.sickness, self.reason, self._stuck_prompt = sickness, reason, prompt_id
        self._since = asyncio.get_running_loop().time()
        self._connections = self._server.connections if self._server else 0
        self._news.set()
        self.on_change()

    def take_pool_out(self, pool: str, reason: str) -> None:
        log.error("pool_not_served", pool=pool, reason=reason)
        self._out[pool] = asyncio.get_running_loop().time() + self._pool_out
        self.on_change()

    async def watch(
        self,
        server: ComfyServer,
        catalogue: Catalogue,
        on_well: Callable[[], Awaitable[None]],
    ) -> None:
        """Probe for as long as the session lasts; `on_well` runs before jobs are claimed again."""
        self._server = server
        self.sickness, self.reason = Sickness.GONE, "not probed yet"
        while True:
            try:
                await self._probe_once(server, catalogue, on_well)
            except (ServerUnreachableError, ServerAnswerError) as error:
                await self._on_failed_probe(server, error)
            every = self._probe_every if self.well else self._sick_probe_every
            await self._pause(every)

    async def _probe_once(
        self,
        server: ComfyServer,
        catalogue: Catalogue,
        on_well: Callable[[], Awaitable[None]],
    ) -> None:
        version = await server.probe()
        if self.well or not await self._healed(server):
            return
        await self._check_classes(server, catalogue)
        await on_well()
        log.info("server_well", server=server.name, version=version, pools=self.pools)
        self.sickness, self.reason = Sickness.NONE, ""
        self.on_change()

    async def _healed(self, server: ComfyServer) -> bool:
        waited = asyncio.get_running_loop().time() - self._since
        restarted = server.connections > self._connections
        match self.sickness:
            case Sickness.STUCK:
                queue = await server.queue()
                return restarted or queue.where(self._stuck_prompt) is Where.LOST
            case Sickness.BROKEN:
                return restarted or waited >= self._quarantine
            case _:
                return True

    async def _check_classes(self, server: ComfyServer, catalogue: Catalogue) -> None:
        wanted = {pool: set[str]() for pool in self._wanted}
        for workflow in catalogue.values():
            if workflow.pool in wanted:
                wanted[workflow.pool] |= classes_of(workflow)
        for pool, classes in wanted.items():
            if missing := await server.missing_classes(classes):
                self.take_pool_out(pool, f"no node class {', '.join(sorted(missing))}")

    async def _on_failed_probe(
        self, server: ComfyServer, error: ServerUnreachableError | ServerAnswerError
    ) -> None:
        """One failed probe may be a pause of the server; a second one is not."""
        if not self.well:
            self.reason = self.reason if self.sickness is not Sickness.GONE else str(error)
            return
        await asyncio.sleep(self._sick_probe_every / 2)
        try:
            await server.probe()
        except (ServerUnreachableError, ServerAnswerError) as again:
            self.mark(Sickness.GONE, str(again))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()

    def probe_soon(self) -> None:
        """The socket dropped: that may be all there is to it, or the process is gone."""
        self._news.set()
