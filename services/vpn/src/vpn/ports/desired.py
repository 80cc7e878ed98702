"""What pushers and reconcile need to know of what nodes should hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from vpn.domain.desired import Entry

Drifted = tuple[str, ...]
"""Node sets whose kept sums are not those of their rows."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest generation, and what a region's nodes should hold at it."""

    generation: int
    hash: str
    entries: int
    sets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What turns an older generation into `head`."""

    head: Head
    put: tuple[Entry, ...]
    remove: tuple[str, ...]
    newest: datetime | None
    """When the last of it was decided."""


class Desired(Protocol):
    """Reads; each is one snapshot, so that a hash fits its generation."""

    async def head(self, region: str) -> Head: ...

    async def since(self, region: str, generation: int) -> Since: ...

    async def all(self, region: str) -> tuple[Head, list[Entry]]: ...

    async def known(self, ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Which ids we ever issued, and whether their removal is recorded."""
        ...

    async def raise_generation(self, least: int) -> None:
        """Go above what a node holds: this database is older than the node (it was restored)."""
        ...

    async def audit(self) -> Drifted: ...

    async def forget_removed(self, before: datetime, confirmed: int) -> int: ...
