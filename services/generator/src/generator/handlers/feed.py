"""What the socket said about one prompt, gathered until its run looks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from generator.domain.progress import NodeProgress


class PromptFeed:
    """Implements `ports.PromptListener`. `wait` returns on news, on a poke, or at a moment."""

    def __init__(self) -> None:
        self.started_at: float | None = None
        self.over = False
        self.look = False
        self.idle_seen = False
        self.nodes: Mapping[str, NodeProgress] = {}
        self.preview: bytes = b""
        self.node_seconds: dict[str, float] = {}
        self.moved = asyncio.Event()
        """Progress or preview changed; whoever reports it clears it."""
        self._node: tuple[str, float] | None = None
        self._news = asyncio.Event()

    def poke(self) -> None:
        self._news.set()

    def started(self) -> None:
        if self.started_at is None:
            self.started_at = _now()
            self._news.set()

    def entered(self, node: str) -> None:
        self.started()
        self._leave_node()
        self._node = (node, _now())

    def progressed(self, nodes: Mapping[str, NodeProgress]) -> None:
        self.started()
        self.nodes = nodes
        self.moved.set()

    def previewed(self, image: bytes) -> None:
        self.preview = image
        self.moved.set()

    def ended(self) -> None:
        self._leave_node()
        self.over = True
        self._news.set()

    def look_again(self) -> None:
        self.look = True
        self._news.set()

    def queue_empty(self) -> None:
        self.idle_seen = True
        self._news.set()

    def _leave_node(self) -> None:
        if self._node is not None:
            node, entered_at = self._node
            self.node_seconds[node] = _now() - entered_at
            self._node = None

    async def wait(self, until: float) -> None:
        """Return at `until` (on the loop's clock), or when there is news."""
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
