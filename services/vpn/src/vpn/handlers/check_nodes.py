"""Ticks about nodes: whoever keeps each node is told, on whichever replica that is."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.vpn import CheckNodes, ReconcileNodes
from vpn.ports import Wake


async def check_nodes(_tick: CheckNodes, uow: UnitOfWork, *, check: Wake) -> None:
    uow.after_commit(check)


async def reconcile_nodes(
    tick: ReconcileNodes, uow: UnitOfWork, *, reconcile: Wake, try_reconcile: Wake
) -> None:
    uow.after_commit(try_reconcile if tick.dry_run else reconcile)
