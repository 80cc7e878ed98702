"""The price screens and their orders, as rows of the table `screens`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from chassis.outbox import UnitOfWork
from contracts.generator import SHARDS
from contracts.ids import MediaId, OrderId, UserId
from contracts.media import MediaRef
from gateway.domain.order_screen import CONFIRMING, IN_FLIGHT, OrderScreen

_COLUMNS = (
    "order_id, user_id, workflow_id, catalogue_version, price_credits, base_price_credits, "
    "priced_at, media_ids, state, params, outputs, shown_ahead, cancel_asked"
)
IN_FLIGHT_SHOWN_MAX = 20


class PostgresOrderScreens:
    """Implements ports.OrderScreens."""

    async def add(self, uow: UnitOfWork, screen: OrderScreen) -> None:
        await uow.connection.execute(
            "INSERT INTO screens (order_id, user_id, workflow_id, catalogue_version, "
            "price_credits, base_price_credits, priced_at, media_ids, state, params, "
            "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
            screen.order_id,
            screen.user_id,
            screen.workflow_id,
            screen.catalogue_version,
            screen.price_credits,
            screen.base_price_credits,
            screen.priced_at,
            list(screen.inputs),
            screen.state,
            dict(screen.params),
            uow.now,
        )

    async def find(self, uow: UnitOfWork, order_id: OrderId) -> OrderScreen | None:
        row = await uow.connection.fetchrow(
            f"SELECT {_COLUMNS} FROM screens WHERE order_id = $1 FOR UPDATE",  # noqa: S608 - constant
            order_id,
        )
        return None if row is None else _screen(row)

    async def waiting_for(self, uow: UnitOfWork, media_id: MediaId) -> list[OrderScreen]:
        rows = await uow.connection.fetch(
            f"SELECT {_COLUMNS} FROM screens "  # noqa: S608 - constant
            "WHERE state = 'confirming' AND media_ids @> ARRAY[$1::uuid] "
            "ORDER BY order_id FOR UPDATE",
            media_id,
        )
        return [_screen(row) for row in rows]

    async def queued(
        self, uow: UnitOfWork, *, shards: Collection[int], after: OrderId, limit: int
    ) -> list[OrderScreen]:
        rows = await uow.connection.fetch(
            f"SELECT {_COLUMNS} FROM screens "  # noqa: S608 - constant
            "WHERE state = 'accepted' AND user_id % $1 = ANY($2) AND order_id > $3 "
            "ORDER BY order_id LIMIT $4",
            SHARDS,
            list(shards),
            after,
            limit,
        )
        return [_screen(row) for row in rows]

    async def in_flight(self, uow: UnitOfWork, user_id: UserId) -> list[OrderScreen]:
        rows = await uow.connection.fetch(
            f"SELECT {_COLUMNS} FROM screens "  # noqa: S608 - constant
            "WHERE user_id = $1 AND state = ANY($2) ORDER BY created_at LIMIT $3",
            user_id,
            [*IN_FLIGHT, CONFIRMING],
            IN_FLIGHT_SHOWN_MAX,
        )
        return [_screen(row) for row in rows]

    async def save(self, uow: UnitOfWork, screen: OrderScreen) -> None:
        await uow.connection.execute(
            "UPDATE screens SET state = $2, outputs = $3, shown_ahead = $4, cancel_asked = $5, "
            "updated_at = $6 WHERE order_id = $1",
            screen.order_id,
            screen.state,
            msgspec.to_builtins(screen.outputs),
            screen.shown_ahead,
            screen.cancel_asked,
            uow.now,
        )


def _screen(row: Any) -> OrderScreen:
    return OrderScreen(
        order_id=row["order_id"],
        user_id=row["user_id"],
        workflow_id=row["workflow_id"],
        catalogue_version=row["catalogue_version"],
        price_credits=row["price_credits"],
        base_price_credits=row["base_price_credits"],
        priced_at=row["priced_at"],
        inputs=tuple(row["media_ids"]),
        state=row["state"],
        params=row["params"],
        outputs=msgspec.convert(row["outputs"], tuple[MediaRef, ...]),
        shown_ahead=row["shown_ahead"],
        cancel_asked=row["cancel_asked"],
    )
