"""A node that is off: emptied, and looked at now and then, for somebody may put people back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from chassis import logs
from contracts import errors
from vpn.jobs.alarms import Alarms
from vpn.jobs.line import Line
from vpn.jobs.pushing import Pushing
from vpn.ports.keeping import Keeping, NodeRow
from vpn.ports.nodes import NodeRefusedError, NodeUnreachableError

log = logs.get("vpn.nodes")
HOLDS_PEOPLE = "off, and it holds people"


class Resting:
    """One node's, while it is off. Keys that are replaced later would live on there."""

    def __init__(
        self, line: Line, pushing: Pushing, keeping: Keeping, alarms: Alarms, every: timedelta
    ) -> None:
        self._line = line
        self._pushing = pushing
        self._keeping = keeping
        self._alarms = alarms
        self._every = every.total_seconds()
        self._look_at = 0.0

    async def step(self, row: NodeRow, *, asked: bool) -> str:
        """Return what is wrong; empty: nothing. Raises what the line does until it is emptied."""
        if not row.emptied:
            return await self._empty()
        now = asyncio.get_running_loop().time()
        if not asked and now < self._look_at:
            return ""
        self._look_at = now + self._every
        try:
            return await self._watch()
        except (NodeUnreachableError, NodeRefusedError) as error:
            # Nobody expects it to answer: its machine may be switched off, or be no more.
            log.debug("node_rests", node=self._line.config.name, reason=str(error))
            return ""

    async def _watch(self) -> str:
        """A disk put back from a backup, a core that somebody else filled: emptied again."""
        state = await self._line.call(self._line.driver.state())
        count = await self._pushing.ours_on(state)
        await self._alarms.put(
            errors.NODE_NOT_EMPTY,
            f"off, and {count} of ours passed again",
            when=bool(count),
            calm=True,
        )
        if not count:
            return ""
        log.error("node_filled_again", node=self._line.config.name, count=count)
        await self._keeping.emptied(self._line.config.name, emptied=False)
        return await self._empty()

    async def _empty(self) -> str:
        node = self._line.config.name
        state = await self._line.call(self._line.driver.state())
        if await self._pushing.empty(state):
            await self._keeping.emptied(node, emptied=True)
            self._look_at = asyncio.get_running_loop().time() + self._every
            self._pushing.on_confirmed()
            log.info("node_emptied", node=node)
            return ""
        log.warning("node_not_emptied", node=node)
        await self._alarms.put(errors.NODE_NOT_EMPTY, HOLDS_PEOPLE)
        return HOLDS_PEOPLE
