"""What handlers need to remember of plans bought with credits, and of what people did by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from billing.domain.order_refunds import OrderRefund
from chassis.database import Connection
from contracts.ids import OrderId, UserId
from contracts.money import Credits


@dataclass(frozen=True, slots=True)
class Purchase:
    """A plan bought with credits."""

    order_id: OrderId
    user_id: UserId
    plan_id: str
    digest: bytes
    charged_credits: Credits
    until: datetime


@dataclass(frozen=True, slots=True)
class Adjustment:
    adjustment_id: UUID
    user_id: UserId
    credits: Credits
    reason: str
    actor: str
    approved_by: str
    debt_credits: Credits


class Records(Protocol):
    """What was bought with credits, and what people did by hand."""

    async def purchase(self, connection: Connection, order_id: OrderId) -> Purchase | None: ...

    async def add_purchase(
        self, connection: Connection, purchase: Purchase, now: datetime
    ) -> None: ...

    async def adjustment(
        self, connection: Connection, adjustment_id: UUID
    ) -> Adjustment | None: ...

    async def add_adjustment(
        self, connection: Connection, adjustment: Adjustment, now: datetime
    ) -> None: ...

    async def order_refund(self, connection: Connection, refund_id: UUID) -> OrderRefund | None: ...

    async def order_refunds(
        self, connection: Connection, order_id: OrderId
    ) -> list[OrderRefund]: ...

    async def add_order_refund(
        self, connection: Connection, refund: OrderRefund, now: datetime
    ) -> None: ...

    async def refused_alone(
        self,
        connection: Connection,
        action: str,
        subject_id: str,
        actor: str,
        *,
        since_agreed: bool,
    ) -> list[Mapping[str, Any]]:
        """What this person asked for and was refused for want of a second one.

        `since_agreed`: only what nobody has agreed to anything about this subject after.
        """
        ...

    async def alone_on(
        self, connection: Connection, people: Sequence[str], day: date
    ) -> dict[str, int]:
        """What these people did alone that day, in credits; nobody else adds to it meanwhile."""
        ...

    async def save_alone(
        self, connection: Connection, sums: Mapping[str, int], day: date
    ) -> None: ...

    async def note_action(
        self,
        connection: Connection,
        *,
        actor: str,
        action: str,
        subject_id: str,
        detail: Mapping[str, Any],
        outcome: str,
        now: datetime,
    ) -> None:
        """Every operator action, done or refused."""
        ...
