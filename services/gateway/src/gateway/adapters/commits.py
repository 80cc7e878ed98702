"""Wakes a worker once the transaction that gave it work is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg

from chassis.background import Background
from chassis.outbox import UnitOfWork

LOOK_EVERY_SECONDS = 0.002
LOOK_SECONDS_MAX = 5.0
"""After that the worker's own sweep finds the row."""


class Commits:
    """A transaction has no hook for its end, so it is looked at for the few milliseconds it lasts.

    Nothing is asked of Postgres: the connection itself knows whether it is in a transaction. A
    rollback wakes the worker in vain, which does no harm.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._watched: dict[UnitOfWork, set[Callable[[], None]]] = {}

    def after(self, uow: UnitOfWork, wake: Callable[[], None]) -> None:
        """Call `wake` once, however often it is asked for in one transaction."""
        wakes = self._watched.get(uow)
        if wakes is None:
            wakes = self._watched[uow] = set()
            self._background.spawn(self._watch(uow), name="commit-watch")
        wakes.add(wake)

    async def _watch(self, uow: UnitOfWork) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + LOOK_SECONDS_MAX
        while _open(uow) and loop.time() < give_up_at:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        for wake in self._watched.pop(uow):
            wake()


def _open(uow: UnitOfWork) -> bool:
    try:
        return uow.connection.is_in_transaction()
    except asyncpg.InterfaceError:
        return False  # it went back to the pool
