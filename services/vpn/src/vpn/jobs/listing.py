"""Holds a node's list against its hash: after every start of it, and now and then."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import uniform

from chassis import logs
from vpn import node_api
from vpn.domain import reconcile
from vpn.jobs.pushing import Pushing
from vpn.ports.desired import Head
from vpn.ports.nodes import NodeMalformedError, NodeRefusedError, NodeUnreachableError

log = logs.get("vpn.nodes")
AGAIN_MAX_SECONDS = 600.0


class Listing:
    """One node's. A hash says what the node was told to hold, its list who passes there.

    Whoever is there though their removal is on record is taken off again. What else is wrong is
    only told: who is missing may just not be listed, and to be put anew would cut them.
    """

    def __init__(self, pushing: Pushing, node: str, *, every: timedelta, window: timedelta) -> None:
        self.wrong = ""
        """What its list said otherwise than its hash, at least twice."""
        self._pushing = pushing
        self._node = node
        self._every = every.total_seconds()
        self._window = window.total_seconds()
        self._at = 0.0
        self._tries = 0
        self._differed = 0

    def begin(self) -> None:
        """Another replica listed it meanwhile: not all nodes at once now."""
        self.wrong, self._tries, self._differed = "", 0, 0
        self._at = asyncio.get_running_loop().time() + uniform(0.2, 1.0) * self._every  # noqa: S311 - only spreads

    async def step(self, state: node_api.State, head: Head, *, started: bool) -> None:
        now = asyncio.get_running_loop().time()
        if started:
            self._at = now
        in_step = (state.generation, state.hash) == (head.generation, head.hash)
        if now < self._at or not in_step:
            return
        # A list that does not come, or not in time, makes nobody worse off: it is asked for again.
        self._at = now + min(self._window * 2.0 ** min(self._tries, 16), AGAIN_MAX_SECONDS)
        self._tries += 1
        try:
            found = await self._pushing.listed(state)
            if found is not None and found.recorded:
                await self._pushing.take_off_again(head, found.recorded)
        except NodeMalformedError as error:
            self.wrong = str(error)
            return
        except (NodeUnreachableError, NodeRefusedError) as error:
            log.warning("node_not_listed", node=self._node, reason=str(error))
            return
        if found is None:
            return
        if not found.missing and not found.extra:
            self.begin()
            return
        self._differed += 1
        if self._differed > 1:
            self.wrong = (
                f"{len(found.missing)} missing and {len(found.extra)} too many in its list"
                if found.held
                else reconcile.EMPTY_LIST
            )
            log.warning("node_lists_otherwise", node=self._node, why=self.wrong)
