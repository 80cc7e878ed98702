"""What a reconciliation reads of billing's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from billing.adapters.queries import read
from billing.domain.currencies import STARS_CURRENCY
from billing.domain.reconciliation import Ours
from billing.ports.payments import ProviderEvent
from chassis.database import Database
from contracts.gateway import StarsTransaction
from contracts.ids import NOBODY

SQL = read(Path(__file__).with_name("reconciliation.sql"))


class PostgresLedgers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def charges(
        self, provider: str, since: datetime, until: datetime, charge_ids: Sequence[str]
    ) -> list[Ours]:
        async with self._database.read() as connection:
            rows = await connection.fetch(
                SQL["charges_of_period"], provider, since, until, charge_ids
            )
        return [Ours(*row) for row in rows]

    async def statement(
        self, provider: str, since: datetime
    ) -> tuple[list[ProviderEvent], datetime | None]:
        async with self._database.read() as connection:
            rows = await connection.fetch(SQL["statement_lines"], provider, since)
        events = [_event(row["kind"], row["body"]) for row in rows]
        return events, max((row["received_at"] for row in rows), default=None)


def _event(kind: str, body: bytes) -> ProviderEvent:
    line = msgspec.json.decode(body, type=StarsTransaction)
    return ProviderEvent(
        "",
        kind,
        line.invoice_payload,
        None,
        line.charge_id,
        abs(line.amount_minor),
        STARS_CURRENCY,
        line.at,
        body,
        line.user_id or NOBODY,
    )
