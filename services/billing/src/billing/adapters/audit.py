"""`billing audit`: recomputes every balance and checks every relation the books must keep."""

from __future__ import annotations

from billing.adapters.queries import SQL
from billing.domain.audit import AuditReport, Check
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
}
STATEMENT_TIMEOUT_SECONDS = 600.0


async def audit(connection: Connection) -> AuditReport:
    """Check everything in one snapshot, so that what others commit meanwhile is no drift."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        checks = []
        for name, query in CHECKS.items():
            rows = await connection.fetch(SQL[query], timeout=STATEMENT_TIMEOUT_SECONDS)
            checks.append(Check(name, tuple(row["user_id"] for row in rows)))
        figures = await connection.fetchrow(SQL["audit_figures"], timeout=STATEMENT_TIMEOUT_SECONDS)
        assert figures is not None
        return AuditReport(tuple(checks), dict(figures))


class PostgresAuditor:
    """The audit on a connection of its own: a handler's transaction has another snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def audit(self) -> AuditReport:
        async with self._database.read() as connection:
            return await audit(connection)
