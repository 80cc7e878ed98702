"""The simulated wall clock: real time plus what a test has skipped."""

import asyncio
import time


class SimClock:
    def __init__(self) -> None:
        self._offset = 0.0
        self._skipped = asyncio.Event()

    def now(self) -> float:
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds
        skipped, self._skipped = self._skipped, asyncio.Event()
        skipped.set()

    async def wait_until(self, deadline: float) -> None:
        """Return when `now()` has reached the deadline, also when a test skips past it."""
        while (left := deadline - self.now()) > 0:
            skipped = self._skipped
            try:
                await asyncio.wait_for(skipped.wait(), left)
            except TimeoutError:
                continue


def monotonic_ms() -> float:
    """CLOCK_MONOTONIC is one clock for all processes of a machine, so benches may subtract it."""
    return time.monotonic_ns() / 1_000_000
