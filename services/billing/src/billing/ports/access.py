"""What handlers need to remember of access: what vpn says that it gave for which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.database import Connection
from contracts.ids import OrderId, SubscriptionId, UserId


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """What vpn gave for an order, as it told; `revoked`: billing had it taken back."""

    order_id: OrderId
    user_id: UserId
    subscription_id: SubscriptionId
    until: datetime
    revoked: bool = False


class AccessGrants(Protocol):
    """What vpn answered to access orders: operators find orders by the subscription, too."""

    async def add(
        self, connection: Connection, grants: Sequence[AccessGrant], now: datetime
    ) -> None:
        """Record them; one that is known stays as it is."""
        ...

    async def revoke(self, connection: Connection, order_id: OrderId, now: datetime) -> None:
        """It is being taken back."""
        ...
