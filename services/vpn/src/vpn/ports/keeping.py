"""What is written down about nodes while they are kept in step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.vpn import NodeDrift


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What was known of a node; `generation` and `hash`: what it confirmed last."""

    state: str
    health: str
    generation: int
    hash: str
    boot_id: str
    uptime_seconds: float
    emptied: bool
    """Off, and it confirmed that it holds nobody of ours any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How a node is; `at` None: it did not answer."""

    health: str
    detail: str = ""
    core: str = ""
    boot_id: str = ""
    uptime_seconds: float = 0.0
    entries: int = 0
    at: datetime | None = None


class Keeping(Protocol):
    async def row(self, node: str) -> NodeRow | None: ...

    async def seen(self, node: str, seen: Seen) -> None: ...

    async def confirmed(self, node: str, generation: int, hash_: str) -> None: ...

    async def emptied(self, node: str, *, emptied: bool) -> None:
        """It is off and holds nobody of ours; or, not emptied, it does again."""
        ...

    async def drifted(
        self, drift: NodeDrift, *, dry_run: bool, at: datetime, seconds: float
    ) -> None: ...
