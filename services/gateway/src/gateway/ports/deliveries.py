"""Messages to people that events cause, and the sweep of what is no longer needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from contracts.ids import OrderId, UserId
from gateway.domain.screen import Screen
from gateway.ports.turn import SEND

if TYPE_CHECKING:
    from chassis.outbox import UnitOfWork


class Deliveries(Protocol):
    """Messages an event causes: recorded with it, sent by whoever holds the person's shard."""

    async def queue(
        self,
        uow: UnitOfWork,
        *,
        user_id: UserId,
        screen: Screen,
        kind: str = SEND,
        order_id: OrderId | None = None,
        key: str = "",
        final: bool = False,
        part: int = 0,
    ) -> bool:
        """Record one message: `SEND` a new one, `EDIT` the one remembered under `key`, or `RESULT`.

        A `RESULT` exists once per (order_id, part): False = it was already there. When the last
        part is settled `delivery_recorded` is emitted. An EDIT supersedes waiting edits of its key.
        """
        ...


class Sweeper(Protocol):
    """Deletes stored objects nothing refers to any more."""

    def request(self) -> None:
        """Start a sweep soon; asking twice is asking once."""
        ...
