from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts import errors, vpn


async def grant_access(command: vpn.GrantAccess, _uow: UnitOfWork) -> None:
    """Refuse: no node is managed by this release, and the order's hold must not wait."""
    raise errors.RefusalError(f"plan {command.plan} is not sold yet", code=errors.UNSUPPORTED)
