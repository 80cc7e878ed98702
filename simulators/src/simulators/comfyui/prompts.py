"""The prompt queue and the history of one simulated process."""

import asyncio
import heapq
from typing import Any

HISTORY_MAX = 10_000

# (number, prompt_id, graph, extra_data, output node ids). A plain tuple in a plain heap, as the
# real server has it: two items with one number and one id make Python compare the dicts, which
# raises. Keeping the shape keeps the bug.
Item = tuple[float, str, dict[str, Any], dict[str, Any], list[str]]


class PromptQueue:
    def __init__(self) -> None:
        self._heap: list[Item] = []
        self._running: Item | None = None
        self._arrival = asyncio.Event()

    def put(self, item: Item) -> None:
        """May raise TypeError after the item is in: see Item."""
        try:
            heapq.heappush(self._heap, item)
        finally:
            self._arrival.set()

    async def get(self) -> Item:
        """The lowest item, now running; raises TypeError when two items cannot be ordered."""
        while not self._heap:
            self._arrival.clear()
            await self._arrival.wait()
        self._running = heapq.heappop(self._heap)
        return self._running

    def done(self) -> None:
        self._running = None

    def running(self) -> Item | None:
        return self._running

    def pending(self) -> list[Item]:
        """In heap order, which is not the order they will run in."""
        return list(self._heap)

    def remaining(self) -> int:
        return len(self._heap) + (self._running is not None)

    def delete(self, prompt_id: str) -> bool:
        for index, item in enumerate(self._heap):
            if item[1] == prompt_id:
                self._heap.pop(index)
                heapq.heapify(self._heap)
                return True
        return False

    def clear(self) -> list[str]:
        gone = [item[1] for item in self._heap]
        self._heap.clear()
        return gone


class History:
    """Finished prompts by id, oldest forgotten first."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Any]] = {}

    def write(self, prompt_id: str, entry: dict[str, Any]) -> None:
        if len(self._entries) >= HISTORY_MAX:
            self._entries.pop(next(iter(self._entries)))
        self._entries[prompt_id] = entry

    def one(self, prompt_id: str) -> dict[str, Any]:
        entry = self._entries.get(prompt_id)
        return {prompt_id: entry} if entry is not None else {}

    def get(self, prompt_id: str) -> dict[str, Any] | None:
        return self._entries.get(prompt_id)

    def page(self, max_items: int | None, offset: int) -> dict[str, Any]:
        """The newest `max_items` when no offset is given, as the real server counts."""
        items = list(self._entries.items())
        if offset < 0 and max_items is not None:
            offset = max(0, len(items) - max_items)
        offset = max(offset, 0)
        end = None if max_items is None else offset + max_items
        return dict(items[offset:end])

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self._entries.items())

    def delete(self, prompt_id: str) -> None:
        self._entries.pop(prompt_id, None)

    def clear(self) -> None:
        self._entries.clear()
