"""Alarms of one node: told once when they come, and forgotten when their reason is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from chassis import logs
from chassis.outbox import Outbox
from vpn.adapters import postgres_nodes

log = logs.get("vpn.nodes")
CALM = timedelta(seconds=60)


class Alarms:
    """What is raised is remembered here too, so that a healthy node costs no query."""

    def __init__(self, outbox: Outbox, node: str, calm: timedelta = CALM) -> None:
        self._outbox = outbox
        self._node = node
        self._calm_seconds = calm.total_seconds()
        self._raised: set[str] | None = None
        self._true_at: dict[str, float] = {}

    async def put(
        self, code: str, detail: str = "", *, when: bool = True, calm: bool = False
    ) -> None:
        """Raise or clear one. `calm`: it is put again and again, and cleared once calm has lasted.

        So a node that is wrong every other second is told of once, not every other second.
        """
        raised = await self._load()
        now = asyncio.get_running_loop().time()
        if when:
            self._true_at[code] = now
        if when == (code in raised):
            return
        if calm and not when and now < self._true_at.setdefault(code, now) + self._calm_seconds:
            return
        async with self._outbox.begin() as uow:
            if when:
                await postgres_nodes.raise_alarm(uow, self._node, code, detail)
            else:
                await postgres_nodes.clear_alarm(uow, self._node, code)
        (raised.add if when else raised.discard)(code)
        write = log.warning if when else log.info
        write("node_alarm", node=self._node, code=code, raised=when, detail=detail)

    async def _load(self) -> set[str]:
        if self._raised is None:
            async with self._outbox.database.read() as connection:
                self._raised = await postgres_nodes.alarms_of(connection, self._node)
        return self._raised

    def forget(self) -> None:
        """Another replica may have kept the node meanwhile."""
        self._raised = None
