"""Orders, holds and quotas in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from billing.adapters.queries import SQL
from billing.domain.accounts import Hold
from billing.domain.orders import Order
from billing.domain.quotas import Quota
from billing.ports import Due, Undelivered
from chassis.database import Connection
from contracts.ids import OrderId, UserId
from contracts.money import NO_CREDITS

# New rows go in by COPY: it costs both sides less than arrays unnested by an INSERT.
ORDER_COLUMNS = (
    "placed_at",
    "order_id",
    "user_id",
    "workflow_id",
    "catalogue_version",
    "price_credits",
    "digest",
    "pool",
    "lane",
    "state",
    "version",
    "reason",
    "start_before",
    "finished_at",
    "traceparent",
    "base_price_credits",
    "discount_percent",
)


class PostgresOrders:
    async def digests(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, bytes]:
        return dict(await connection.fetch(SQL["find_digests"], order_ids))

    async def add(self, connection: Connection, orders: Sequence[Order], now: datetime) -> None:
        if not orders:
            return
        await connection.copy_records_to_table(
            "orders", columns=ORDER_COLUMNS, records=[_record(order, now) for order in orders]
        )
        holds = [order.hold for order in orders if order.hold is not None]
        if holds:
            await connection.execute(
                SQL["add_holds"],
                [hold.order_id for hold in holds],
                [hold.user_id for hold in holds],
                [hold.amount for hold in holds],
                [msgspec.json.encode(hold.parts).decode() for hold in holds],
                [hold.quota_day for hold in holds],
                [hold.expires_at for hold in holds],
            )

    async def load(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, Order]:
        rows = await connection.fetch(SQL["load_orders"], order_ids)
        return {row["order_id"]: _order(row) for row in rows}

    async def end(
        self, connection: Connection, ended: Sequence[Due], holds: Sequence[Hold], now: datetime
    ) -> None:
        if ended:
            orders = [order for order, _ in ended]
            await connection.execute(
                SQL["end_orders"],
                now,
                [order.order_id for order in orders],
                [order.state for order in orders],
                [order.version for order in orders],
                [order.reason for order in orders],
                [order.gift for order in orders],
                [order.outputs or None for order in orders],
                [due_at for _, due_at in ended],
            )
        if holds:
            status = await connection.execute(
                SQL["end_holds"],
                [hold.order_id for hold in holds],
                [hold.state for hold in holds],
            )
            assert status == f"UPDATE {len(holds)}", "a hold was ended elsewhere, without the lock"

    async def request_cancels(self, connection: Connection, order_ids: Sequence[OrderId]) -> None:
        if order_ids:
            await connection.execute(SQL["mark_cancel_requested"], order_ids)

    async def start(
        self, connection: Connection, starts: Sequence[tuple[OrderId, str, datetime]]
    ) -> list[tuple[str, str]]:
        rows = await connection.fetch(SQL["mark_started"], *zip(*starts, strict=True))
        return [(row["pool"], row["server"]) for row in rows]

    async def record_deliveries(
        self, connection: Connection, told: Sequence[tuple[OrderId, int, str]], now: datetime
    ) -> None:
        await connection.execute(SQL["record_deliveries"], now, *zip(*told, strict=True))

    async def overdue(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[tuple[OrderId, UserId]]:
        rows = await connection.fetch(SQL["overdue_holds"], now, limit)
        return [(row["order_id"], row["user_id"]) for row in rows]

    async def pending_holds(self, connection: Connection, user_ids: Sequence[UserId]) -> list[Hold]:
        rows = await connection.fetch(SQL["pending_holds"], user_ids)
        return [_hold(row, row["state"]) for row in rows]

    async def lock_undelivered(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[Undelivered]:
        return [
            Undelivered(
                row["order_id"],
                row["user_id"],
                row["workflow_id"],
                NO_CREDITS if row["gift"] else row["price_credits"],
                row["gift"],
                row["outputs"],
                row["deliver_asked"],
                row["traceparent"],
            )
            for row in await connection.fetch(SQL["undelivered"], now, limit)
        ]

    async def postpone(
        self, connection: Connection, due: Sequence[tuple[OrderId, datetime]]
    ) -> None:
        if due:
            await connection.execute(SQL["postpone_deliveries"], *zip(*due, strict=True))


def _record(order: Order, now: datetime) -> tuple[Any, ...]:
    return (
        now,
        order.order_id,
        order.user_id,
        order.workflow_id,
        order.catalogue_version,
        order.price_credits,
        order.digest,
        order.pool,
        order.lane,
        order.state,
        order.version,
        order.reason,
        order.start_before,
        order.finished_at,
        order.traceparent,
        order.base_price_credits,
        order.discount_percent,
    )


def _hold(row: Any, state: str) -> Hold:
    return Hold(
        row["order_id"],
        row["user_id"],
        row["amount"],
        row["expires_at"],
        state,
        tuple((number, amount) for number, amount in row["parts"]),
        row["quota_day"],
    )


def _order(row: Any) -> Order:
    return Order(
        row["order_id"],
        row["user_id"],
        row["workflow_id"],
        row["catalogue_version"],
        row["price_credits"],
        row["digest"],
        row["placed_at"],
        row["pool"],
        row["lane"],
        row["start_before"],
        row["state"],
        row["version"],
        row["reason"],
        row["cancel_requested"],
        row["gift"],
        row["finished_at"],
        row["outputs"] or b"",
        row["traceparent"],
        _hold(row, row["hold_state"]) if row["hold_state"] is not None else None,
        row["base_price_credits"],
        row["discount_percent"],
    )


class PostgresQuotas:
    async def load(
        self, connection: Connection, keys: Sequence[tuple[UserId, str]]
    ) -> dict[tuple[UserId, str], Quota]:
        if not keys:
            return {}
        rows = await connection.fetch(SQL["load_quotas"], *zip(*keys, strict=True))
        return {(row["user_id"], row["workflow_id"]): Quota(*row) for row in rows}

    async def save(self, connection: Connection, quotas: Sequence[Quota]) -> None:
        if quotas:
            await connection.execute(
                SQL["save_quotas"],
                [quota.user_id for quota in quotas],
                [quota.workflow_id for quota in quotas],
                [quota.day for quota in quotas],
                [quota.used for quota in quotas],
            )
