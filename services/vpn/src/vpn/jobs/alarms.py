"""Alarms of one node: told once when they come, and forgotten when their reason is gone."""

from __future__ import annotations

from chassis import logs
from chassis.outbox import Outbox
from vpn.adapters import postgres_nodes

log = logs.get("vpn.nodes")


class Alarms:
    """What is raised is remembered here too, so that a healthy node costs no query."""

    def __init__(self, outbox: Outbox, node: str) -> None:
        self._outbox = outbox
        self._node = node
        self._raised: set[str] | None = None

    async def put(self, code: str, detail: str = "", *, when: bool = True) -> None:
        """Raise or clear one."""
        raised = await self._load()
        if when == (code in raised):
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
