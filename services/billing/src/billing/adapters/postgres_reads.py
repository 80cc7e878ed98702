"""Balance, history and queue in Postgres, read without locks."""

from __future__ import annotations

from datetime import date, datetime

from billing.adapters.postgres_accounts import PostgresAccounts
from billing.adapters.postgres_rewards import PostgresDiscounts
from billing.adapters.queries import SQL
from billing.domain.accounts import Account
from billing.domain.discounts import Discount
from billing.domain.history import Entry, Gain
from billing.domain.orders import ACCEPTED, RUNNING
from billing.ports import Place
from chassis.database import Database
from contracts.ids import OrderId, UserId
from contracts.money import Credits


class PostgresReads:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._accounts = PostgresAccounts()

    async def account(self, user_id: UserId) -> Account | None:
        async with self._database.read() as connection:
            found = await self._accounts.load(connection, [user_id])
        return found.get(user_id)

    async def spent_since(self, user_id: UserId, since: datetime) -> Credits:
        async with self._database.read() as connection:
            spent: Credits = await connection.fetchval(SQL["read_spent_since"], user_id, since)
        return spent

    async def quota_used(self, user_id: UserId, workflow_id: str, day: date) -> int:
        async with self._database.read() as connection:
            row = await connection.fetchrow(SQL["load_quotas"], [user_id], [workflow_id])
        return row["used"] if row is not None and row["day"] == day else 0

    async def entries(self, user_id: UserId, before: int, limit: int) -> list[Entry]:
        async with self._database.read() as connection:
            rows = await connection.fetch(SQL["read_history"], user_id, before, limit)
        return [Entry(*row) for row in rows]

    async def gains(self, user_id: UserId, before: datetime, limit: int) -> list[Gain]:
        async with self._database.read() as connection:
            rows = await connection.fetch(SQL["read_gains"], user_id, before, limit)
        return [Gain(*row) for row in rows]

    async def discounts(self, user_id: UserId, now: datetime) -> list[Discount]:
        async with self._database.read() as connection:
            found = await PostgresDiscounts().load(connection, [user_id], now)
        return found.get(user_id, [])

    async def place(self, order_id: OrderId) -> Place | None:
        async with self._database.read() as connection:
            order = await connection.fetchrow(SQL["read_order_place"], order_id)
            if order is None:
                return None
            if order["state"] != ACCEPTED:
                return Place(order["state"], order["pool"])
            rows = await connection.fetch(
                SQL["read_queue"], order["pool"], order["lane"], order["placed_at"], order_id
            )
        counts = [(row["workflow_id"], row["state"], row["orders"]) for row in rows]
        return Place(
            order["state"],
            order["pool"],
            tuple((name, count) for name, state, count in counts if state == ACCEPTED),
            tuple((name, count) for name, state, count in counts if state == RUNNING),
        )
