"""Days for everybody, carried out page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chassis.database import Connection
from contracts.ids import UserId
from vpn.domain.access import Subscription
from vpn.ports import Extension


class Pages(Protocol):
    async def claim(self, connection: Connection) -> Extension | None:
        """Lock an action that is not finished and that nobody else works on."""
        ...

    async def page(
        self, connection: Connection, action: Extension, limit: int
    ) -> list[tuple[UUID, UserId]]:
        """The next subscriptions it is about, in the order of their ids."""
        ...

    def applies(self, action: Extension, one: Subscription) -> bool:
        """Whether it still is about this one, now that it is locked."""
        ...

    async def record(
        self,
        connection: Connection,
        action: Extension,
        given: Sequence[tuple[UUID, datetime, datetime]],
        *,
        after_id: UUID,
    ) -> None:
        """Note (subscription, end before, end after) and how far the action got."""
        ...

    async def finish(self, connection: Connection, action_id: UUID, now: datetime) -> int:
        """Return how many were given the days."""
        ...
