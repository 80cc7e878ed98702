"""One node's line: every call goes through its breaker, list calls included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from chassis import metrics
from vpn.domain.breaker import Breaker
from vpn.jobs import fitting
from vpn.ports.nodes import (
    NodeDriver,
    NodeMalformedError,
    NodeRefusedError,
    NodeUnreachableError,
)
from vpn.ports.registry import NodeConfig

T = TypeVar("T")
calls_count = metrics.counter("vitrine.vpn.node.calls", description="by node and outcome")


class Line:
    """The driver of one node behind its breaker; there is no retry here, only in the keeper."""

    def __init__(self, config: NodeConfig, driver: NodeDriver) -> None:
        self.config = config
        self.driver = driver
        self.breaker = Breaker()
        self._misfit = ""

    async def call(self, make: Awaitable[T]) -> T:
        """Await one call of the driver. Raises what it raises, or at once while the line is cut."""
        loop = asyncio.get_running_loop()
        if self.breaker.refuses(loop.time()):
            _close(make)
            if self._misfit:
                raise NodeMalformedError(self._misfit)
            raise NodeUnreachableError("left alone for a while")
        try:
            answer = await make
            if wrong := fitting.problem(answer):
                raise NodeMalformedError(wrong)
        except NodeUnreachableError as error:
            self._misfit = str(error) if isinstance(error, NodeMalformedError) else ""
            self.breaker.failed(loop.time())
            calls_count.add(1, {"node": self.config.name, "outcome": "unreachable"})
            raise
        except NodeRefusedError as error:
            if not fitting.is_text(error.code):
                self._misfit = "its refusal has no readable code"
                self.breaker.failed(loop.time())
                raise NodeMalformedError(self._misfit) from error
            # It answered, whatever it said.
            self.breaker.succeeded()
            calls_count.add(1, {"node": self.config.name, "outcome": "refused"})
            raise
        self.breaker.succeeded()
        calls_count.add(1, {"node": self.config.name, "outcome": "ok"})
        return answer


def _close(make: Awaitable[T]) -> None:
    close = getattr(make, "close", None)
    if close is not None:
        close()
