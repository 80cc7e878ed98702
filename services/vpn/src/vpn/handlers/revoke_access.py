from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts import errors, vpn


async def revoke_access(command: vpn.RevokeAccess, _uow: UnitOfWork) -> None:
    """Refuse: this release granted nothing, so there is nothing to take back."""
    raise errors.RefusalError(f"order {command.order_id} gave no access", code=errors.UNSUPPORTED)
