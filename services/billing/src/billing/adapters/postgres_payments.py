"""Payments, charges, subscriptions and what people did by hand, in Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from billing.adapters.postgres_access import SQL as REFUNDS
from billing.adapters.queries import read
from billing.domain.charges import Charge
from billing.domain.order_refunds import OrderRefund
from billing.domain.payments import Payment
from billing.ports.payments import (
    Handled,
    ProviderEvent,
    ProviderState,
    Subscription,
)
from billing.ports.records import Adjustment, Purchase
from chassis.database import Connection, Database
from contracts import errors
from contracts.ids import OrderId, PaymentId, UserId

SQL = read(Path(__file__).with_name("payments.sql"))
_CHARGE_COLUMNS = tuple(each.name for each in fields(Charge))


class PostgresPayments:
    async def find(self, connection: Connection, payment_id: PaymentId) -> Payment | None:
        return (await self.find_all(connection, [payment_id])).get(payment_id)

    async def find_all(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, Payment]:
        rows = await connection.fetch(SQL["find_payments"], payment_ids)
        return {row["payment_id"]: Payment(*row) for row in rows}

    async def owners(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, UserId]:
        return dict(await connection.fetch(SQL["payment_owners"], payment_ids))

    async def add(self, connection: Connection, payment: Payment) -> None:
        await connection.execute(SQL["add_payment"], *astuple(payment))

    async def save(self, connection: Connection, *payments: Payment) -> None:
        if payments:
            await connection.execute(
                SQL["save_payments"],
                [payment.payment_id for payment in payments],
                [payment.state for payment in payments],
                [payment.version for payment in payments],
                [payment.provider_ref for payment in payments],
                [payment.pay_url for payment in payments],
                [payment.reason for payment in payments],
                [payment.expires_at for payment in payments],
                [payment.checked_at for payment in payments],
                [payment.check_due_at for payment in payments],
            )

    async def due(
        self, connection: Connection, provider: str, now: datetime, limit: int
    ) -> list[Payment]:
        rows = await connection.fetch(SQL["payments_due"], provider, now, limit)
        return [Payment(*row) for row in rows]

    async def overdue(
        self, connection: Connection, provider: str, now: datetime, limit: int
    ) -> list[tuple[PaymentId, UserId]]:
        rows = await connection.fetch(SQL["payments_overdue"], provider, now, limit)
        return [(row["payment_id"], row["user_id"]) for row in rows]

    async def keep_event(
        self, connection: Connection, event: ProviderEvent, provider: str, way: str, now: datetime
    ) -> bool:
        kept = await connection.fetchval(
            SQL["keep_event"], provider, event.event_key, way, event.raw, now
        )
        return kept is not None

    async def keep_handled(
        self, connection: Connection, handled: Handled, provider: str, way: str, now: datetime
    ) -> None:
        raws: dict[str, bytes] = {}
        outcomes: dict[str, str] = {}
        for event, outcome in handled:
            raws.setdefault(event.event_key, event.raw)
            outcomes[event.event_key] = outcome
        await connection.execute(
            SQL["keep_handled"],
            provider,
            way,
            now,
            list(raws),
            list(raws.values()),
            list(outcomes.values()),
        )

    async def told(self, connection: Connection, provider: str, keys: Sequence[str]) -> set[str]:
        rows = await connection.fetch(SQL["find_told"], provider, keys)
        return {row["event_key"] for row in rows}

    async def state_of(self, connection: Connection, provider: str) -> ProviderState:
        row = await connection.fetchrow(SQL["provider_state"], provider)
        return ProviderState(*row) if row is not None else ProviderState(provider)

    async def save_state(self, connection: Connection, state: ProviderState) -> None:
        await connection.execute(SQL["save_provider_state"], *astuple(state))

    async def suspended(self, connection: Connection) -> frozenset[str]:
        rows = await connection.fetch(SQL["suspended_providers"])
        return frozenset(row["provider"] for row in rows)


class PostgresCharges:
    async def find(self, connection: Connection, provider: str, charge_id: str) -> Charge | None:
        row = await connection.fetchrow(SQL["find_charge"], provider, charge_id)
        return _charge(row) if row is not None else None

    async def known(
        self, connection: Connection, provider: str, charge_ids: Sequence[str]
    ) -> set[str]:
        rows = await connection.fetch(SQL["known_charges"], provider, charge_ids)
        return {row["charge_id"] for row in rows}

    async def unclear(
        self, connection: Connection, provider: str, limit: int
    ) -> list[tuple[str, UserId]]:
        rows = await connection.fetch(
            SQL["unclear_refunds"], provider, errors.PROVIDER_FAILED, limit
        )
        return [(row["charge_id"], row["user_id"]) for row in rows]

    async def add(self, connection: Connection, charges: Sequence[Charge]) -> set[str]:
        if not charges:
            return set()
        columns = zip(*map(_columns_of, charges), strict=True)
        rows = await connection.fetch(SQL["add_charges"], *columns)
        return {row["charge_id"] for row in rows}

    async def save(self, connection: Connection, charge: Charge) -> None:
        await connection.execute(
            SQL["save_charge"],
            charge.provider,
            charge.charge_id,
            charge.state,
            charge.version,
            charge.reason,
            charge.actor,
            charge.credits,
            charge.lot,
            charge.bonus_lot,
            charge.tier,
            charge.tier_from,
            charge.tier_until,
            charge.tier_replaced,
            charge.taken,
            charge.debt_credits,
            charge.taken_seconds,
            charge.late,
            charge.settled_at,
            charge.user_id,
            charge.bonus_credits,
            charge.refunded_minor,
            charge.refunding_minor,
            charge.kept_parts,
            charge.kept_debt,
        )

    async def counts(
        self, connection: Connection, payment_ids: Sequence[PaymentId]
    ) -> dict[PaymentId, int]:
        return dict(await connection.fetch(SQL["count_charges"], payment_ids))

    async def owners(
        self, connection: Connection, provider: str, charge_ids: Sequence[str]
    ) -> dict[str, UserId]:
        return dict(await connection.fetch(SQL["charge_owners"], provider, charge_ids))

    async def last_of(self, connection: Connection, user_id: UserId, limit: int) -> list[Charge]:
        rows = await connection.fetch(SQL["last_charges"], user_id, limit)
        return [_charge(row) for row in rows]

    async def subscription(
        self, connection: Connection, *, charge_id: str = "", payment_id: PaymentId | None = None
    ) -> Subscription | None:
        if payment_id is not None:
            row = await connection.fetchrow(SQL["subscription_of_payment"], payment_id)
        else:
            row = await connection.fetchrow(SQL["subscription_of_charge"], charge_id)
        return Subscription(*row) if row is not None else None

    async def subscriptions(
        self, connection: Connection, user_id: UserId, now: datetime
    ) -> list[Subscription]:
        rows = await connection.fetch(SQL["live_subscriptions"], user_id, now)
        return [Subscription(*row) for row in rows]

    async def is_given_back(self, connection: Connection, payment_id: PaymentId) -> bool:
        given_back: bool = await connection.fetchval(SQL["is_given_back"], payment_id)
        return given_back

    async def save_subscription(self, connection: Connection, subscription: Subscription) -> None:
        await connection.execute(SQL["save_subscription"], *astuple(subscription))


class PostgresPaymentReads:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._payments = PostgresPayments()
        self._charges = PostgresCharges()

    async def payment(self, payment_id: PaymentId) -> Payment | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(SQL["read_payment"], payment_id)
        return Payment(*row) if row is not None else None

    async def charges(self, user_id: UserId, limit: int) -> list[Charge]:
        async with self._database.read() as connection:
            return await self._charges.last_of(connection, user_id, limit)

    async def held(self, limit: int) -> list[Charge]:
        async with self._database.read() as connection:
            rows = await connection.fetch(SQL["held_charges"], limit)
        return [_charge(row) for row in rows]

    async def subscriptions(self, user_id: UserId, now: datetime) -> list[Subscription]:
        async with self._database.read() as connection:
            return await self._charges.subscriptions(connection, user_id, now)

    async def suspended(self) -> frozenset[str]:
        async with self._database.read() as connection:
            return await self._payments.suspended(connection)


class PostgresRecords:
    async def purchase(self, connection: Connection, order_id: OrderId) -> Purchase | None:
        row = await connection.fetchrow(SQL["find_purchase"], order_id)
        return Purchase(*row) if row is not None else None

    async def add_purchase(self, connection: Connection, purchase: Purchase, now: datetime) -> None:
        await connection.execute(SQL["add_purchase"], *astuple(purchase), now)

    async def adjustment(self, connection: Connection, adjustment_id: UUID) -> Adjustment | None:
        row = await connection.fetchrow(SQL["find_adjustment"], adjustment_id)
        return Adjustment(*row) if row is not None else None

    async def add_adjustment(
        self, connection: Connection, adjustment: Adjustment, now: datetime
    ) -> None:
        await connection.execute(SQL["add_adjustment"], *astuple(adjustment), now)

    async def order_refund(self, connection: Connection, refund_id: UUID) -> OrderRefund | None:
        row = await connection.fetchrow(REFUNDS["find_order_refund"], refund_id)
        return OrderRefund(*row) if row is not None else None

    async def order_refunds(self, connection: Connection, order_id: OrderId) -> list[OrderRefund]:
        rows = await connection.fetch(REFUNDS["find_order_refunds"], order_id)
        return [OrderRefund(*row) for row in rows]

    async def add_order_refund(
        self, connection: Connection, refund: OrderRefund, now: datetime
    ) -> None:
        await connection.execute(REFUNDS["add_order_refund"], *astuple(refund), now)

    async def refused_alone(
        self,
        connection: Connection,
        action: str,
        subject_id: str,
        actor: str,
        *,
        since_agreed: bool,
    ) -> list[Mapping[str, Any]]:
        rows = await connection.fetch(
            SQL["refused_alone"],
            action,
            subject_id,
            actor,
            errors.NEEDS_SECOND_PERSON,
            since_agreed,
        )
        return [row["detail"] for row in rows]

    async def alone_on(
        self, connection: Connection, people: Sequence[str], day: date
    ) -> dict[str, int]:
        return dict(await connection.fetch(SQL["alone_on"], people, day))

    async def save_alone(self, connection: Connection, sums: Mapping[str, int], day: date) -> None:
        await connection.execute(SQL["save_alone"], list(sums), list(sums.values()), day)

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
        await connection.execute(
            SQL["note_action"], actor, action, subject_id, dict(detail), outcome, now
        )


def _columns_of(charge: Charge) -> tuple[Any, ...]:
    """A charge as its columns; an array of jsonb travels as text."""
    values = {name: getattr(charge, name) for name in _CHARGE_COLUMNS}
    values["taken"] = msgspec.json.encode(charge.taken).decode()
    return tuple(values.values())


def _charge(row: Any) -> Charge:
    charge = Charge(*row)
    charge.taken = tuple((number, amount) for number, amount in charge.taken)
    return charge
