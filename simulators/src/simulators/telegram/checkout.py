"""Pre-checkout queries that wait for the bot's yes or no."""

import asyncio
from typing import Any

from simulators.telegram.clock import SimClock


class Checkouts:
    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[str | None]] = {}

    def open(self, query_id: str) -> None:
        self._waiting[query_id] = asyncio.get_running_loop().create_future()

    def answer(self, query_id: str, error: str | None) -> bool:
        """False when nobody waits for this answer any more."""
        waiting = self._waiting.pop(query_id, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(error)
        return True

    async def wait(self, query_id: str, clock: SimClock, deadline: float) -> str | None:
        """The bot's refusal, None for a yes; raises TimeoutError when it kept silent."""
        answer = self._waiting[query_id]
        late = asyncio.create_task(clock.wait_until(deadline))
        try:
            waited: set[asyncio.Future[Any]] = {answer, late}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late.cancel()
            self._waiting.pop(query_id, None)
        if not answer.done():
            answer.cancel()
            raise TimeoutError
        return answer.result()

    def close(self) -> None:
        for waiting in self._waiting.values():
            waiting.cancel()
        self._waiting.clear()
