"""Messages owned by vpn: access that follows payment, and the nodes that give it."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from contracts.envelope import Command, Event, LockKey, Reply, Request
from contracts.ids import OrderId, SubscriptionId, UserId

STATE_ACTIVE = "active"
STATE_GRACE = "grace"
"""Past its end and still passing traffic, for the days the shop gives for paying late."""
STATE_SUSPENDED = "suspended"
"""Passes nothing; key and link are kept and work again after a payment."""
STATE_ENDED = "ended"
"""Suspended for so long that key and link were deleted; the next purchase makes new ones."""

CAUSE_GRANTED = "granted"
CAUSE_RENEWED = "renewed"
CAUSE_EXTENDED = "extended"
"""Days were given by the shop, not bought."""
CAUSE_TRAFFIC_ADDED = "traffic_added"
CAUSE_TRAFFIC_SPENT = "traffic_spent"
CAUSE_EXPIRED = "expired"
CAUSE_DELETED = "deleted"
CAUSE_REVOKED = "revoked"
CAUSE_OPTIONS = "options"
CAUSE_PLAN = "plan"
"""The terms of its plan were changed by the shop."""

REMINDER_BEFORE_END = "before_end"
REMINDER_TRIAL = "trial"
REMINDER_CREDITS_SHORT = "credits_short"
REMINDER_TRAFFIC = "traffic"
REMINDER_DEVICES = "devices"


class GrantAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give what an order, whose price is held, bought: `days` of a plan, or `traffic_bytes` of it.

    Days are added to a running subscription's end. One `order_id` gives once. `renews`: the end of
    the period it follows; another is refused (`stale_period`): no period is paid twice. `until`: of
    old senders, for `days`. Of plans the one `chosen_at` last stays; None: when this was made.
    """

    subject: ClassVar[str] = "vpn.cmd.grant_access.v1"

    order_id: OrderId
    user_id: UserId
    plan: str
    until: datetime | None = None
    days: int = 0
    traffic_bytes: int = 0
    trial: bool = False
    renews: datetime | None = None
    chosen_at: datetime | None = None

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class RevokeAccess(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Take back what an order gave, once. `refunded`: after it was charged; else it never was."""

    subject: ClassVar[str] = "vpn.cmd.revoke_access.v1"

    order_id: OrderId
    user_id: UserId
    refunded: bool = False

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class RotateKey(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Replace a person's key: the old one stops on every node, the link's address too if asked."""

    subject: ClassVar[str] = "vpn.cmd.rotate_key.v1"

    user_id: UserId
    link_too: bool = False

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class SetAccessOptions(Command, frozen=True, kw_only=True, omit_defaults=True):
    """What a person chose; None leaves it. `time_zone` (IANA): when it is night for them."""

    subject: ClassVar[str] = "vpn.cmd.set_access_options.v1"

    user_id: UserId
    auto_renew: bool | None = None
    reminders: bool | None = None
    time_zone: str | None = None
    language: str | None = None

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class ExtendEverybody(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give days to everybody whose access runs (or ran out within `ended_within_days`); audited.

    One `action_id` gives once to each, however often it is sent.
    """

    subject: ClassVar[str] = "vpn.cmd.extend_everybody.v1"

    action_id: UUID
    days: int
    reason: str
    actor: str
    plan: str = ""
    """Only those of this plan; empty: of every plan."""
    ended_within_days: int = 0


class SetNode(Command, frozen=True, kw_only=True, omit_defaults=True):
    """An operator's word on a node.

    `active`; `draining`: no link names it while there is an active one, whoever is on it stays;
    `off`: everybody of ours is taken off it, and until it confirmed that a replaced key is not told
    dead; `gone`: off, and the machine is no more, so nobody waits for it.
    """

    subject: ClassVar[str] = "vpn.cmd.set_node.v1"

    node: str
    state: str
    actor: str
    reason: str = ""

    def order_keys(self) -> tuple[Hashable, ...]:
        return (self.node,)


class CheckSubscription(Command, frozen=True, kw_only=True, omit_defaults=True):
    """A timer fired: a hint. What is due by the subscription's own row is done, else nothing."""

    subject: ClassVar[str] = "vpn.cmd.check_subscription.v1"

    subscription_id: SubscriptionId
    user_id: UserId

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class SweepSubscriptions(Command, frozen=True, kw_only=True, omit_defaults=True):
    """End, suspend and delete what is due. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "vpn.cmd.sweep_subscriptions.v1"

    due_at: datetime


class RenewSubscriptions(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ask billing to charge for what ends soon. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "vpn.cmd.renew_subscriptions.v1"

    due_at: datetime


class SendReminders(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Remind whoever is due and not asleep. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "vpn.cmd.send_reminders.v1"

    due_at: datetime


class ReconcileNodes(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Compare every node with what it should hold, and mend it (`dry_run`: only report)."""

    subject: ClassVar[str] = "vpn.cmd.reconcile_nodes.v1"

    due_at: datetime
    dry_run: bool = False


class CheckNodes(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ask every node how it is, and read its traffic counters. Sent by a scheduler tick."""

    subject: ClassVar[str] = "vpn.cmd.check_nodes.v1"

    due_at: datetime


# --- what became of it -------------------------------------------------------------------------


class AccessGranted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What the order bought is committed; nodes converge. Its hold is to be posted."""

    subject: ClassVar[str] = "vpn.evt.access_granted.v1"

    order_id: OrderId
    user_id: UserId
    subscription_id: SubscriptionId
    plan: str
    until: datetime

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class AccessRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The access command was not carried out; the order's hold is to be voided."""

    subject: ClassVar[str] = "vpn.evt.access_refused.v1"

    order_id: OrderId
    user_id: UserId
    code: str

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class AccessRevoked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What the order had given is taken back; `until`: what is left, if anything."""

    subject: ClassVar[str] = "vpn.evt.access_revoked.v1"

    order_id: OrderId
    user_id: UserId
    until: datetime | None = None


class AccessChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """State of a person's subscription, and what changed it (`cause`)."""

    subject: ClassVar[str] = "vpn.evt.access_changed.v1"
    carries_state: ClassVar[bool] = True

    user_id: UserId
    subscription_id: SubscriptionId
    state: str
    cause: str
    plan: str
    until: datetime
    grace_until: datetime | None = None
    delete_at: datetime | None = None
    trial: bool = False
    auto_renew: bool = False
    days: int = 0
    """Of cause `extended`: how many were given."""
    reason: str = ""


class KeyRotated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The old key is refused by every node that can be reached; `waiting_nodes` could not be."""

    subject: ClassVar[str] = "vpn.evt.key_rotated.v1"

    user_id: UserId
    subscription_id: SubscriptionId
    confirmed: bool
    waiting_nodes: int = 0
    link_too: bool = False


class AccessReminded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Something the person should hear now (`kind`); sent at most once per period and day left."""

    subject: ClassVar[str] = "vpn.evt.access_reminded.v1"

    user_id: UserId
    subscription_id: SubscriptionId
    kind: str
    until: datetime
    days_left: int = 0
    plan: str = ""
    auto_renew: bool = False
    percent: int = 0
    """Of traffic used, for kind `traffic`."""
    limit: int = 0
    """Devices allowed, for kind `devices`."""


class EverybodyExtended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An `extend_everybody` ended; how many got the days."""

    subject: ClassVar[str] = "vpn.evt.everybody_extended.v1"

    action_id: UUID
    days: int
    subscriptions: int
    actor: str


class NodeAlarmed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Operators should look at a node (`code`, contracts.errors NODE_*)."""

    subject: ClassVar[str] = "vpn.evt.node_alarmed.v1"

    node: str
    code: str
    detail: str = ""


# --- reads -------------------------------------------------------------------------------------


class GetAccess(Request, frozen=True, kw_only=True, omit_defaults=True):
    """A person's subscription, with its link: a secret, so only ever asked for, never an event."""

    subject: ClassVar[str] = "vpn.rpc.access"

    user_id: UserId


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person is shown of a node."""

    name: str
    region: str
    up: bool


class Access(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """`exists` False: this person never had access, everything else is empty."""

    exists: bool = False
    subscription_id: SubscriptionId | None = None
    state: str = ""
    plan: str = ""
    trial: bool = False
    trial_used: bool = False
    until: datetime | None = None
    grace_until: datetime | None = None
    link: str = ""
    auto_renew: bool = False
    reminders: bool = True
    used_bytes: int = 0
    limit_bytes: int = 0
    """0: no limit."""
    devices: int = 0
    devices_online: int = 0
    nodes: tuple[NodeStatus, ...] = ()


class GetNodes(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Every node, for operators."""

    subject: ClassVar[str] = "vpn.rpc.nodes"


class NodeLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    region: str
    state: str
    health: str
    """`up`, `down`, `syncing`, or `sick` (it answers, and not as it should)."""
    users: int = 0
    wanted: int = 0
    behind: int = 0
    """Generations it has not confirmed yet."""
    core: str = ""
    uptime_seconds: float = 0.0
    seen_at: datetime | None = None
    detail: str = ""


class Nodes(Reply, frozen=True, kw_only=True, omit_defaults=True):
    nodes: tuple[NodeLine, ...] = ()


class GetReconcileReport(Request, frozen=True, kw_only=True, omit_defaults=True):
    """The last comparison of nodes with what they should hold (`dry_run`: the last dry one)."""

    subject: ClassVar[str] = "vpn.rpc.reconcile_report"

    dry_run: bool = False


class NodeDrift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`held_back`: why nothing was done about it (blast radius, empty list, grace window...)."""

    node: str
    missing: int = 0
    extra: int = 0
    foreign: int = 0
    """Users we never issued: reported, never removed."""
    mended: int = 0
    held_back: str = ""


class ReconcileReport(Reply, frozen=True, kw_only=True, omit_defaults=True):
    at: datetime | None = None
    dry_run: bool = False
    seconds: float = 0.0
    nodes: tuple[NodeDrift, ...] = ()
