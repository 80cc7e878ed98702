from __future__ import annotations

from contracts.vpn import (
    GetNodes,
    GetReconcileReport,
    NodeDrift,
    NodeLine,
    Nodes,
    ReconcileReport,
)
from vpn.ports.desired import Desired
from vpn.ports.reads import NodeReads


async def get_nodes(_request: GetNodes, *, nodes: NodeReads, desired: Desired) -> Nodes:
    """Every node, with how far it is behind what it should hold."""
    rows = await nodes.rows()
    heads = {region: await desired.head(region) for region in {row["region"] for row in rows}}
    return Nodes(
        nodes=tuple(
            NodeLine(
                name=row["name"],
                region=row["region"],
                state=row["state"],
                health=row["health"],
                users=row["entries"],
                wanted=heads[row["region"]].entries,
                behind=max(heads[row["region"]].generation - row["generation"], 0),
                core=row["core"],
                uptime_seconds=row["uptime_seconds"],
                seen_at=row["seen_at"],
                detail=row["detail"],
            )
            for row in rows
        )
    )


async def get_reconcile_report(request: GetReconcileReport, *, nodes: NodeReads) -> ReconcileReport:
    """The last comparison of each node; `at` is the oldest of them."""
    rows = await nodes.drifts(dry_run=request.dry_run)
    return ReconcileReport(
        at=min((row["at"] for row in rows), default=None),
        dry_run=request.dry_run,
        seconds=max((row["seconds"] for row in rows), default=0.0),
        nodes=tuple(
            NodeDrift(
                node=row["node"],
                missing=row["missing"],
                extra=row["extra"],
                foreign=row["foreign"],
                mended=row["mended"],
                held_back=row["held_back"],
            )
            for row in rows
        ),
    )
