"""Works off rows of the shards held here, each in a task of its own, each by one replica."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from chassis import logs
from chassis.background import Background, contained
from chassis.database import RETRYABLE
from chassis.errors import TransientError

log = logs.get("gateway.rows")
SWEEP_SECONDS = 2.0
"""The safety net: rows are normally taken the moment their transaction has committed."""
LET_GO_SECONDS_MAX = 8.0


class ShardRow(Protocol):
    @property
    def id(self) -> UUID: ...

    @property
    def shard(self) -> int: ...


RowT = TypeVar("RowT", bound=ShardRow)


class ClaimedRows(Generic[RowT]):
    """Claim → work → again. A row stays leased by this replica until `work` has settled it.

    `claim(shards, free, under_way)` leases at most `free` rows and returns them; it may take a row
    that this replica leased before and is not `under_way`: its end could not be recorded. A
    transient error of `work` leaves the row leased, to be claimed again; any other is a bug, for
    which `give_up` settles the row, so that it is not tried for ever.
    """

    def __init__(
        self,
        background: Background,
        *,
        name: str,
        concurrent_max: int,
        held: Callable[[], frozenset[int]],
        claim: Callable[[list[int], int, list[UUID]], Awaitable[list[RowT]]],
        work: Callable[[RowT], Awaitable[None]],
        give_up: Callable[[RowT], Awaitable[None]],
    ) -> None:
        self._background = background
        self._name = name
        self._concurrent_max = concurrent_max
        self._held = held
        self._claim = claim
        self._work = work
        self._give_up = give_up
        self._due = asyncio.Event()
        self._finished = asyncio.Event()
        self._leaving: frozenset[int] = frozenset()
        self._under_way: dict[UUID, int] = {}
        """The shard of each row being worked on now."""

    def wake(self) -> None:
        """Look for rows now: some were committed, or shards came to be held here."""
        self._due.set()

    async def run(self) -> None:
        """Claim and work until the process stops."""
        while not self._background.stopping.is_set():
            self._due.clear()
            claimed = await self._claim_some()
            for row in claimed:
                self._under_way[row.id] = row.shard
                self._background.spawn(self._take(row), name=self._name)
            if not claimed:
                await self._wait()

    async def stop(self) -> None:
        """Claim nothing more, and finish what is under way."""
        self._due.set()
        await self._ended(frozenset(self._under_way.values()))

    async def let_go(self, shards: frozenset[int]) -> None:
        """Claim nothing more there, and finish what is under way there."""
        self._leaving |= shards
        await self._ended(shards)
        self._leaving -= shards

    async def _claim_some(self) -> list[RowT]:
        shards = self._held() - self._leaving
        free = self._concurrent_max - len(self._under_way)
        if not shards or free <= 0:
            return []
        try:
            return await self._claim(list(shards), free, list(self._under_way))
        except (TransientError, *RETRYABLE) as error:
            log.warning("rows_postponed", work=self._name, reason=type(error).__name__)
            return []

    async def _take(self, row: RowT) -> None:
        try:
            if not await contained(self._unless_away(self._work, row), name=self._name):
                await contained(self._unless_away(self._give_up, row), name=self._name)
        finally:
            del self._under_way[row.id]
            self._finished.set()
            self._due.set()

    async def _unless_away(self, act: Callable[[RowT], Awaitable[None]], row: RowT) -> None:
        """While Postgres is away the row keeps our lease, and is claimed again a little later."""
        try:
            await act(row)
        except (TransientError, *RETRYABLE) as error:
            log.warning("row_not_settled", work=self._name, reason=type(error).__name__)
            await self._background.pause(SWEEP_SECONDS)

    async def _ended(self, shards: frozenset[int]) -> None:
        """Wait for what is under way, but not for ever: what is cut off is done again."""
        try:
            async with asyncio.timeout(LET_GO_SECONDS_MAX):
                while shards & set(self._under_way.values()):
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            log.warning("rows_left_at_work", work=self._name, count=len(self._under_way))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(SWEEP_SECONDS):
                await self._due.wait()
        except TimeoutError:
            return
