"""What tests of every service share: a clock of their own, and waiting without sleeping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

POLL_SECONDS = 0.02


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.moment = now or datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def advance(self, span: timedelta) -> None:
        self.moment += span


async def drain(
    condition: Callable[[], Awaitable[object] | object],
    *,
    within: timedelta = timedelta(seconds=30),
    what: str = "the condition",
) -> None:
    """Wait until `condition` is true; raise AssertionError naming `what` when time runs out."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within.total_seconds()
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not come true within {within}")
        await asyncio.sleep(POLL_SECONDS)
