"""run_audit: recompute the books and tell who drifted; nothing is repaired here."""

from __future__ import annotations

from billing.ports import Auditor
from chassis import logs, metrics
from chassis.outbox import UnitOfWork
from contracts.billing import AuditCompleted, RunAudit

log = logs.get("billing.audit")
DRIFT_LISTED_MAX = 100
drift_count = metrics.counter("vitrine.billing.audit_drift", description="accounts found drifted")


async def run_audit(_command: RunAudit, uow: UnitOfWork, *, auditor: Auditor) -> None:
    report = await auditor.audit()
    broken = [check.name for check in report.checks if check.broken_by]
    write = log.error if broken else log.info
    write("audit_completed", drifted=len(report.drift), broken=broken)
    if report.drift:
        drift_count.add(len(report.drift))
    event = AuditCompleted(
        accounts=report.figures["accounts"],
        transfers=report.figures["transfers"],
        drift=report.drift[:DRIFT_LISTED_MAX],
    )
    uow.emit(event)
