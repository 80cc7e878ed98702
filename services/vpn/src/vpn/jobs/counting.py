"""Reads one node's counters: bytes and addresses, page by page, while its keeper holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Protocol
from uuid import UUID

from chassis import logs, metrics
from chassis.background import Background
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from vpn.domain.reconcile import id_of
from vpn.jobs.keeper import Keeper
from vpn.ports.nodes import NodeRefusedError, NodeUnreachableError

log = logs.get("vpn.traffic")
pages_count = metrics.counter("vitrine.vpn.traffic.pages", description="read, by node")


class Count(Protocol):
    async def __call__(self, uow: UnitOfWork, node: str, seen: Mapping[UUID, int], /) -> None: ...


class Counting:
    def __init__(
        self,
        keeper: Keeper,
        outbox: Outbox,
        *,
        traffic: Count,
        devices: Count,
        every: timedelta,
        rows_max: int,
    ) -> None:
        self._keeper = keeper
        self._outbox = outbox
        self._traffic = traffic
        self._devices = devices
        self._every = every.total_seconds()
        self._rows_max = rows_max
        self._woken = asyncio.Event()

    def ask(self) -> None:
        self._woken.set()

    async def run(self, background: Background) -> None:
        while not background.stopping.is_set():
            self._woken.clear()
            if self._keeper.holds and not self._keeper.off:
                try:
                    await self.collect()
                except (NodeUnreachableError, NodeRefusedError) as error:
                    log.info("traffic_not_read", node=self._keeper.node, reason=str(error))
                except (TransientError, *RETRYABLE) as error:
                    log.warning("traffic_postponed", reason=type(error).__name__)
            try:
                async with asyncio.timeout(self._every):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def collect(self) -> None:
        """Read every page, then who is connected."""
        line, node = self._keeper.line, self._keeper.node
        after = ""
        while True:
            page = await line.call(line.driver.traffic(after))
            if page is None:
                break
            pages_count.add(1, {"node": node})
            seen = {
                found: user.up_bytes + user.down_bytes
                for user in page.users
                if (found := id_of(user.email)) is not None
            }
            await self._in_parts(seen, self._traffic)
            if not page.next or page.next <= after:
                break
            after = page.next
        online = await line.call(line.driver.online())
        here = {found: count for email, count in online.items() if (found := id_of(email))}
        async with self._outbox.begin() as uow:
            await self._devices(uow, node, here)

    async def _in_parts(self, seen: Mapping[UUID, int], count: Count) -> None:
        ids = iter(sorted(seen))
        while part := list(islice(ids, self._rows_max)):
            async with self._outbox.begin() as uow:
                await count(uow, self._keeper.node, {each: seen[each] for each in part})
