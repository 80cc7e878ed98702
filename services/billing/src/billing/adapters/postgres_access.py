"""What vpn gave for access orders, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from billing.adapters.queries import read
from billing.ports.access import AccessGrant
from chassis.database import Connection
from contracts.ids import OrderId

SQL = read(Path(__file__).with_name("access.sql"))


class PostgresAccessGrants:
    async def add(
        self, connection: Connection, grants: Sequence[AccessGrant], now: datetime
    ) -> None:
        if grants:
            await connection.execute(
                SQL["add_access_grants"],
                now,
                [grant.order_id for grant in grants],
                [grant.user_id for grant in grants],
                [grant.subscription_id for grant in grants],
                [grant.until for grant in grants],
                [grant.revoked for grant in grants],
            )

    async def revoke(self, connection: Connection, order_id: OrderId, now: datetime) -> None:
        await connection.execute(SQL["revoke_access_grant"], order_id, now)
