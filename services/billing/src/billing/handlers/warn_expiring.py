"""Paid and bonus credits that expire soon: their owner is told, once per lot.

The mark that it was told is set by the statement that finds it, with SKIP LOCKED, so any number
of replicas tell each lot once; no account is locked, for no amount changes.
"""

from __future__ import annotations

from billing.domain.terms import Terms
from billing.ports.rewards import Rewards
from chassis.outbox import UnitOfWork
from contracts.rewards import LotExpiring


async def warn_expiring(uow: UnitOfWork, *, rewards: Rewards, terms: Terms) -> int:
    """Tell of what expires within `warn_before`, at most `rows_max`; return how many."""
    until = uow.now + terms.rewards.warn_before
    found = await rewards.warnings.take_expiring(uow.connection, uow.now, until, terms.rows_max)
    for lot in found:
        event = LotExpiring(
            user_id=lot.user_id, lot=lot.kind, credits=lot.credits, expires_at=lot.expires_at
        )
        uow.emit(event)
    return len(found)
