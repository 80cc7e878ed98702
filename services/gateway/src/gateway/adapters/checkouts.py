"""The payment screens, as rows of the table `checkouts`; how far the statement was read."""

from __future__ import annotations

from typing import Any

import msgspec

from chassis.outbox import UnitOfWork
from contracts.ids import PaymentId
from gateway.domain.checkout import Amount, Checkout

_COLUMNS = (
    "checkout_id, user_id, product, product_id, credits, bonus_credits, tier, amounts, priced_at, "
    "order_id, method, state"
)


class PostgresCheckouts:
    """Implements ports.Checkouts."""

    async def add(self, uow: UnitOfWork, checkout: Checkout) -> None:
        await uow.connection.execute(
            f"INSERT INTO checkouts ({_COLUMNS}, created_at, updated_at) "  # noqa: S608 - constant
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
            checkout.checkout_id,
            checkout.user_id,
            checkout.product,
            checkout.product_id,
            checkout.credits,
            checkout.bonus_credits,
            checkout.tier,
            msgspec.to_builtins(checkout.amounts),
            checkout.priced_at,
            checkout.order_id,
            checkout.method,
            checkout.state,
            uow.now,
        )

    async def find(self, uow: UnitOfWork, checkout_id: PaymentId) -> Checkout | None:
        row = await uow.connection.fetchrow(
            f"SELECT {_COLUMNS} FROM checkouts WHERE checkout_id = $1 FOR UPDATE",  # noqa: S608 - constant
            checkout_id,
        )
        return None if row is None else _checkout(row)

    async def save(self, uow: UnitOfWork, checkout: Checkout) -> None:
        await uow.connection.execute(
            "UPDATE checkouts SET method = $2, state = $3, updated_at = $4 WHERE checkout_id = $1",
            checkout.checkout_id,
            checkout.method,
            checkout.state,
            uow.now,
        )


class PostgresStatement:
    """Implements ports.StatementCursor. Another bot has a statement of its own."""

    def __init__(self, bot_id: int) -> None:
        self._bot_id = bot_id

    async def find(self, uow: UnitOfWork) -> int:
        found = await uow.connection.fetchval(
            "SELECT lines_read FROM stars_statement WHERE bot_id = $1", self._bot_id
        )
        return int(found or 0)

    async def advance(self, uow: UnitOfWork, *, to: int) -> None:
        await uow.connection.execute(
            "INSERT INTO stars_statement AS s (bot_id, lines_read, read_at) VALUES ($1, $2, $3) "
            "ON CONFLICT (bot_id) DO UPDATE SET lines_read = greatest(s.lines_read, $2), "
            "read_at = $3",
            self._bot_id,
            to,
            uow.now,
        )


def _checkout(row: Any) -> Checkout:
    return Checkout(
        checkout_id=row["checkout_id"],
        user_id=row["user_id"],
        product=row["product"],
        product_id=row["product_id"],
        credits=row["credits"],
        bonus_credits=row["bonus_credits"],
        tier=row["tier"],
        amounts=msgspec.convert(row["amounts"], tuple[Amount, ...]),
        priced_at=row["priced_at"],
        order_id=row["order_id"],
        method=row["method"],
        state=row["state"],
    )
