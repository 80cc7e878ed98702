"""run_audit: recompute the books and tell who drifted; nothing is repaired here.

The command only asks for it: reading every row takes longer than a batch may hold its locks.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from billing.domain.audit import AuditReport
from billing.ports import Auditor
from chassis import logs, metrics
from chassis.effects import Effect, EffectKind, EffectResult
from chassis.outbox import UnitOfWork
from contracts.billing import AuditCompleted, RunAudit

log = logs.get("billing.audit")
EFFECT = "audit"
LASTS_MAX = timedelta(minutes=15)
ATTEMPTS_MAX = 3
DRIFT_LISTED_MAX = 100
drift_count = metrics.counter("vitrine.billing.audit_drift", description="accounts found drifted")


async def run_audit(command: RunAudit, uow: UnitOfWork) -> None:
    moment = command.due_at.astimezone(UTC).isoformat()
    uow.effect(EFFECT, f"{EFFECT}:{moment}", b"")


def effect(auditor: Auditor) -> EffectKind:
    """The audit itself, made with no transaction open. Asked twice, it only reads twice."""

    async def call(_effect: Effect) -> EffectResult:
        report = await auditor.audit()

        async def record(uow: UnitOfWork) -> None:
            _tell(report, uow)

        return EffectResult.done(record)

    return EffectKind(name=EFFECT, call=call, attempts_max=ATTEMPTS_MAX, lease=LASTS_MAX)


def _tell(report: AuditReport, uow: UnitOfWork) -> None:
    broken = [check.name for check in report.checks if check.broken_by]
    if report.broken_seals:
        broken.append("hash chain")
    write = log.error if broken else log.info
    write("audit_completed", drifted=len(report.drift), broken=broken)
    if not report.healthy:
        drift_count.add(len(report.drift) + len(report.broken_seals))
    event = AuditCompleted(
        accounts=report.figures["accounts"],
        transfers=report.figures["transfers"],
        drift=report.drift[:DRIFT_LISTED_MAX],
        broken_seals=report.broken_seals[:DRIFT_LISTED_MAX],
    )
    uow.emit(event)
