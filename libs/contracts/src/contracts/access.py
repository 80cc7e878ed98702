"""Messages owned by billing that sell VPN access: the money side of contracts.vpn."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.envelope import Command, Event, LockKey
from contracts.ids import OrderId, SubscriptionId, UserId
from contracts.money import Credits

PRODUCT_ACCESS = "access"
ACCESS_PREFIX = "vpn_"
"""How every plan's id begins, so that an order for access is told from a workflow's."""
KIND_PLAN = "plan"
KIND_TRIAL = "trial"
KIND_TRAFFIC = "traffic"


class AccessPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be bought: days of access, the one trial a person may have, or more traffic."""

    id: str
    price_credits: Credits
    kind: str = KIND_PLAN
    days: int = 0
    traffic_gib: int = 0
    """Included per period (plan, trial) or added (traffic); 0: no limit."""
    devices: int = 0
    """A soft limit; 0: none."""
    regions: tuple[str, ...] = ()
    """Whose nodes it may use; empty: all."""


class BuyAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Buy a plan, the trial or a traffic package at the price shown. One `order_id`, one order."""

    subject: ClassVar[str] = "billing.cmd.buy_access.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    price_credits: Credits
    priced_at: datetime

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class RenewAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Charge for the period after `period_end`. `order_id` is made from it: charged once.

    Sent by vpn for a subscription that renews itself; `attempt` counts from 1. Asked again after
    the period's order was voided, billing opens the next of `ids.renewal_order_ids`.
    """

    subject: ClassVar[str] = "billing.cmd.renew_access.v1"

    order_id: OrderId
    user_id: UserId
    subscription_id: SubscriptionId
    plan_id: str
    period_end: datetime
    attempt: int = 1

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class AccessBought(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The hold was posted: access runs until `until`."""

    subject: ClassVar[str] = "billing.evt.access_bought.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    kind: str
    charged_credits: Credits
    available_credits: Credits
    until: datetime
    renewal: bool = False


class AccessNotBought(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was charged (`code`): refused before a hold, or the hold was voided.

    vpn counts a renewal's attempt by it, and knows it by `period_end`, or, where a hold was
    voided, by `order_id` (`ids.renewal_order_ids`); asking again it names the first of those.
    """

    subject: ClassVar[str] = "billing.evt.access_not_bought.v1"

    order_id: OrderId
    user_id: UserId
    plan_id: str
    code: str
    price_credits: Credits | None = None
    available_credits: Credits | None = None
    renewal: bool = False
    subscription_id: SubscriptionId | None = None
    period_end: datetime | None = None
    debt_credits: Credits = Credits(0)

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)
