"""Messages owned by vpn: access that follows payment."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from contracts.envelope import Command, Event
from contracts.ids import OrderId, UserId


class GrantAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give access until a moment, for an order whose price is held."""

    subject: ClassVar[str] = "vpn.cmd.grant_access.v1"

    order_id: OrderId
    user_id: UserId
    plan: str
    until: datetime


class RevokeAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Take back what an order gave: the order was refunded after all."""

    subject: ClassVar[str] = "vpn.cmd.revoke_access.v1"

    order_id: OrderId
    user_id: UserId


class AccessRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The access command was not carried out; the order's hold is to be voided."""

    subject: ClassVar[str] = "vpn.evt.access_refused.v1"

    order_id: OrderId
    user_id: UserId
    code: str

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)
