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
from chassis.clock import new_id
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from vpn.domain.reconcile import id_of
from vpn.jobs import fitting
from vpn.jobs.keeper import Keeper
from vpn.ports.nodes import NodeMalformedError, NodeRefusedError, NodeUnreachableError

log = logs.get("vpn.traffic")
pages_count = metrics.counter("vitrine.vpn.traffic.pages", description="read, by node")


PAGES_MAX = 1_000
"""Of one reading: ten million people; a node whose pages never end is not read for ever."""
FALLEN_MAX = 1 << 30
"""A node whose counters fell by more bytes than this lost what somebody should know of."""


class Count(Protocol):
    async def __call__(
        self, uow: UnitOfWork, node: str, seen: Mapping[UUID, int], epoch: str, reading: UUID, /
    ) -> int: ...


class CountDevices(Protocol):
    async def __call__(self, uow: UnitOfWork, node: str, seen: Mapping[UUID, int], /) -> None: ...


class Counting:
    def __init__(
        self,
        keeper: Keeper,
        outbox: Outbox,
        *,
        traffic: Count,
        devices: CountDevices,
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
                except NodeMalformedError as error:
                    log.warning("traffic_does_not_fit", node=self._keeper.node, why=str(error))
                    self._keeper.counters_read(str(error))
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
        """Read every page, then who is connected; what cannot be meant is left out and told."""
        line, node = self._keeper.line, self._keeper.node
        after, fallen, wrong = "", 0, 0
        for _ in range(PAGES_MAX):
            reading = new_id()  # before it is asked: whoever keeps the node next asks later
            page = await line.call(line.driver.traffic(after))
            if page is None:
                break
            pages_count.add(1, {"node": node})
            seen = {
                found: user.up_bytes + user.down_bytes
                for user in page.users
                if (found := id_of(user.email)) is not None
            }
            fitting_ones = {
                each: total for each, total in seen.items() if fitting.is_counter(total)
            }
            wrong += len(seen) - len(fitting_ones)
            fallen += await self._in_parts(fitting_ones, page.epoch, reading)
            if not page.next or page.next <= after:
                break
            after = page.next
        else:
            wrong += 1
        online = await line.call(line.driver.online())
        here = {found: count for email, count in online.items() if (found := id_of(email))}
        addresses = {
            each: count for each, count in here.items() if fitting.is_count_of_addresses(count)
        }
        wrong += len(here) - len(addresses)
        async with self._outbox.begin() as uow:
            await self._devices(uow, node, addresses)
        if wrong:
            self._keeper.counters_read(f"{wrong} of its counters cannot be")
        elif fallen > FALLEN_MAX:
            self._keeper.counters_read(f"its counters fell by {fallen} bytes: was it restored?")
        else:
            self._keeper.counters_read()

    async def _in_parts(self, seen: Mapping[UUID, int], epoch: str, reading: UUID) -> int:
        fallen = 0
        ids = iter(sorted(seen))
        while part := list(islice(ids, self._rows_max)):
            async with self._outbox.begin() as uow:
                these = {each: seen[each] for each in part}
                fallen += await self._traffic(uow, self._keeper.node, these, epoch, reading)
        return fallen
