"""Which core answers now, and who waits for one that does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vpn.adapters.core.errors import CoreUnreachableError
from vpn.agent.link import Link

CORE_WAIT_SECONDS = 3.0
"""How long a request waits for a core that is just being restarted, or connected to again."""


class CurrentCore:
    """The link to the core that answers; None while there is none."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self._turn = asyncio.Event()

    def up(self, link: Link) -> None:
        self.link = link
        self.answers()

    def down(self) -> None:
        self.link = None

    def answers(self) -> None:
        """Let whoever waits look again: a core answered, be it the one we know."""
        turned, self._turn = self._turn, asyncio.Event()
        turned.set()

    async def reached(self) -> Link:
        """Return the core that answers, as soon as there is one; CoreUnreachableError: too late."""
        return await self.after(None, CORE_WAIT_SECONDS)

    async def after(self, dead: Link | None, wait_seconds: float) -> Link:
        """Return a life of the core that is not this dead one's."""
        async with _in_time(wait_seconds):
            while self.link is None or self.link is dead:
                await self._turn.wait()
            return self.link

    async def again(self, lost: Link) -> Link:
        """Return the core after a call to it failed.

        It may have died: then it is its next life. It may live, its connection lost in the middle
        of the call: then it is the same link, once the core has answered anew.
        """
        lost_in = self._turn
        async with _in_time(CORE_WAIT_SECONDS):
            while self.link is None or (self.link is lost and self._turn is lost_in):
                await self._turn.wait()
            return self.link


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise CoreUnreachableError("the core does not answer") from None
