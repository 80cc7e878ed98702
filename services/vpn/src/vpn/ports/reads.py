"""What reads by request need."""

from __future__ import annotations

from typing import Any, Protocol

from contracts.ids import UserId


class Reads(Protocol):
    async def access(self, user_id: UserId) -> dict[str, Any] | None:
        """The person's columns and their subscription's; None: nobody knows them."""
        ...

    async def states(self) -> dict[str, tuple[str, str]]:
        """State and health of every node."""
        ...


class NodeReads(Protocol):
    async def rows(self) -> list[dict[str, Any]]: ...

    async def drifts(self, *, dry_run: bool) -> list[dict[str, Any]]: ...
