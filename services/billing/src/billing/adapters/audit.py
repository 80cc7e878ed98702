"""`billing audit`: recomputes every balance and checks every relation the books must keep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from billing.adapters.postgres_access import SQL as ACCESS
from billing.adapters.postgres_payments import SQL as PAYMENTS
from billing.adapters.postgres_rewards import SQL as REWARDS
from billing.adapters.queries import SQL
from billing.adapters.seals import broken_seals
from billing.domain.audit import AuditReport, Check
from billing.domain.chain import Head
from chassis.database import Connection, Database

CHECKS = {
    "lots = balances = replay": "audit_accounts",
    "each lot = its replay": "audit_lots",
    "nothing is negative": "audit_negative",
    "holds = their transfers": "audit_holds",
    "charged exactly if completed": "audit_orders",
    "results where completed": "audit_results",
    "quotas = free holds": "audit_quotas",
    "each grant credited once": "audit_grants",
    "each charge = its grants": "audit_charges",
    "paid exactly if charged": "audit_payments",
    "taken back = refunds": "audit_refunds",
    "adjustments, plans = transfers": "audit_by_hand",
    "gifts = their transfers": "audit_gifts",
    "discounts = orders that use them": "audit_discounts",
    "promo codes = their uses": "audit_promos",
    "given back = refunds of orders": "audit_order_refunds",
    "access charged = access given": "audit_access",
}
QUERIES = {**SQL, **PAYMENTS, **REWARDS, **ACCESS}
STATEMENT_TIMEOUT_SECONDS = 600.0


async def audit(connection: Connection) -> AuditReport:
    """Check everything in one snapshot, so that what others commit meanwhile is no drift."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        checks = []
        for name, query in CHECKS.items():
            rows = await connection.fetch(QUERIES[query], timeout=STATEMENT_TIMEOUT_SECONDS)
            checks.append(Check(name, tuple(row["user_id"] for row in rows)))
        figures = await connection.fetchrow(SQL["audit_figures"], timeout=STATEMENT_TIMEOUT_SECONDS)
        assert figures is not None
        return AuditReport(tuple(checks), dict(figures))


class PostgresAuditor:
    """The audit on a connection of its own: a handler's transaction has another snapshot."""

    def __init__(
        self, database: Database, kept: Callable[[], Awaitable[Head]] | None = None
    ) -> None:
        self._database = database
        self._kept = kept
        """The chain's head as it stands outside; without it the chain alone is recomputed."""

    async def audit(self) -> AuditReport:
        # Before the rows are read: a seal made meanwhile is then in what is read.
        kept = await self._kept() if self._kept is not None else Head()
        async with self._database.read() as connection:
            report = await audit(connection)
        return replace(report, broken_seals=await broken_seals(self._database, kept))
