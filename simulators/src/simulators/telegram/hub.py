"""Tells every open page and every waiting test what has just changed."""

import asyncio
from typing import Any

BACKLOG_MAX = 2_000


class Hub:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()
        self._changed = asyncio.Event()

    def listen(self) -> asyncio.Queue[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[dict[str, Any]]) -> None:
        self._listeners.discard(queue)

    @property
    def heard(self) -> bool:
        return bool(self._listeners)

    def publish(self, event: dict[str, Any]) -> None:
        for queue in self._listeners:
            if queue.qsize() >= BACKLOG_MAX:
                # A page that fell this far behind is cheaper to redraw than to feed.
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait({"type": "reload"})
            else:
                queue.put_nowait(event)

    def wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_change(self, timeout: float) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return False
        return True
