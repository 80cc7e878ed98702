"""Messages owned by billing: accounts, orders, credits and tiers."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from contracts.envelope import Command, Event, Reply, Request
from contracts.media import MediaRef

TIER_NONE = "none"
TIER_VIP = "vip"
TIER_BLACK_GOLD = "black_gold"
LANE_PRIORITY = "priority"
LANE_REGULAR = "regular"
LOT_TRIAL = "trial"
LOT_BONUS = "bonus"
LOT_PAID = "paid"


class OpenAccount(Command, frozen=True, kw_only=True, omit_defaults=True):
    """A person appeared: open their account with the trial credits, once."""

    subject: ClassVar[str] = "billing.cmd.open_account.v1"

    user_id: int
    deep_link: str = ""

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)


class PlaceOrder(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Confirm one screen. The same `order_id` with other business fields is rejected."""

    subject: ClassVar[str] = "billing.cmd.place_order.v1"

    order_id: UUID
    user_id: int
    workflow_id: str
    catalogue_version: int
    price_credits: int
    """The price the person saw; billing computes its own and refuses on a difference."""
    priced_at: datetime
    inputs: tuple[MediaRef, ...] = ()
    params: dict[str, str] = msgspec.field(default_factory=dict)

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)


class CancelOrder(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The person (or an operator) wants the order stopped; the generator decides the race."""

    subject: ClassVar[str] = "billing.cmd.cancel_order.v1"

    order_id: UUID
    user_id: int
    reason: str = "cancelled_by_user"

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)


class GrantCredits(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Add credits. `grant_key` names the business reason once: the same key adds nothing twice."""

    subject: ClassVar[str] = "billing.cmd.grant_credits.v1"

    grant_key: str
    user_id: int
    credits: int
    reason: str
    actor: str
    lot: str = LOT_BONUS
    expires_at: datetime | None = None

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)


class SetTier(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give a tier until a moment (None: without end), or take it (`none`)."""

    subject: ClassVar[str] = "billing.cmd.set_tier.v1"

    user_id: int
    tier: str
    reason: str
    actor: str
    until: datetime | None = None

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)


class RenewTrials(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Renew the trial credits that are due. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "billing.cmd.renew_trials.v1"

    due_at: datetime


class RunAudit(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Recompute every balance from the transfers. Sent by a scheduler tick or an operator."""

    subject: ClassVar[str] = "billing.cmd.run_audit.v1"

    due_at: datetime


class AccountOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.account_opened.v1"

    user_id: int
    trial_credits: int


class OrderAccepted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The price is held and the job is queued. State of the order at version 1."""

    subject: ClassVar[str] = "billing.evt.order_accepted.v1"
    carries_state: ClassVar[bool] = True

    order_id: UUID
    user_id: int
    workflow_id: str
    price_credits: int
    pool: str
    lane: str
    start_before: datetime


class OrderRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was held, nothing will run (`code`: see contracts.errors)."""

    subject: ClassVar[str] = "billing.evt.order_refused.v1"
    carries_state: ClassVar[bool] = True

    order_id: UUID
    user_id: int
    code: str
    workflow_id: str = ""
    price_credits: int | None = None
    """The price that holds now, where the shown one no longer does."""
    available_credits: int | None = None
    limit: int | None = None


class OrderCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The hold was posted (or, late, the result is given as a `gift`); deliver the result."""

    subject: ClassVar[str] = "billing.evt.order_completed.v1"
    carries_state: ClassVar[bool] = True

    order_id: UUID
    user_id: int
    workflow_id: str
    charged_credits: int
    outputs: tuple[MediaRef, ...]
    cancel_lost: bool = False
    """A cancel was asked for but the result came first; the person is told so."""
    gift: bool = False
    available_credits: int | None = None
    """What the person has left after it; None: not told."""


class OrderRefunded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The hold was voided: nobody was charged (`reason`: a failure class or a cancel code)."""

    subject: ClassVar[str] = "billing.evt.order_refunded.v1"
    carries_state: ClassVar[bool] = True

    order_id: UUID
    user_id: int
    workflow_id: str
    returned_credits: int
    reason: str
    cancelled: bool = False


class CommandRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A command contradicted what is recorded; nothing changed."""

    subject: ClassVar[str] = "billing.evt.command_rejected.v1"

    command_subject: str
    command_id: UUID
    code: str
    user_id: int = 0
    order_id: UUID | None = None


class CreditsGranted(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.credits_granted.v1"

    user_id: int
    credits: int
    lot: str
    reason: str
    debt_paid_credits: int = 0
    grant_key: str = ""


class TierSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """State of the user's tier."""

    subject: ClassVar[str] = "billing.evt.tier_set.v1"
    carries_state: ClassVar[bool] = True

    user_id: int
    tier: str
    until: datetime | None = None


class TrialRenewed(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.trial_renewed.v1"

    user_id: int
    credits: int
    expires_at: datetime


class AuditCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`drift` lists account numbers whose lots, balance and replay differ; empty is healthy."""

    subject: ClassVar[str] = "billing.evt.audit_completed.v1"

    accounts: int
    transfers: int
    drift: tuple[int, ...] = ()


class GetBalance(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.balance"

    user_id: int


class LotBalance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    lot: str
    remaining_credits: int
    expires_at: datetime | None = None


class Balance(Reply, frozen=True, kw_only=True, omit_defaults=True):
    user_id: int
    opened: bool = False
    """False: billing has not yet seen this person; all amounts are 0."""
    available_credits: int = 0
    held_credits: int = 0
    spent_today_credits: int = 0
    debt_credits: int = 0
    tier: str = TIER_NONE
    tier_until: datetime | None = None
    lots: tuple[LotBalance, ...] = ()


class GetPrice(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.price"

    user_id: int
    workflow_id: str


class Price(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What an order would cost this person now; valid 15 minutes by default."""

    workflow_id: str
    catalogue_version: int
    price_credits: int
    base_price_credits: int
    priced_at: datetime
    available_credits: int = 0
    free_left_today: int | None = None
    """How many free orders are left today; None: no daily limit applies."""
    tier: str = TIER_NONE


class GetHistory(Request, frozen=True, kw_only=True, omit_defaults=True):
    """One page of a person's ledger, newest first; `before` is the last page's `next_before`."""

    subject: ClassVar[str] = "billing.rpc.history"

    user_id: int
    before: str = ""
    limit: int = 8


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind`: hold | post | void | expire | grant | trial | revoke."""

    at: datetime
    kind: str
    credits: int
    """Signed: what it did to the available balance (a post is 0 there: the hold took it)."""
    amount_credits: int
    order_id: UUID | None = None
    workflow_id: str = ""
    reason: str = ""


class History(Reply, frozen=True, kw_only=True, omit_defaults=True):
    entries: tuple[HistoryEntry, ...] = ()
    next_before: str = ""


class GetQueuePosition(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.queue_position"

    order_id: UUID


class QueuePosition(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Orders that will start earlier (0: next), and a guess of the wait in seconds.

    `state`: `accepted` while it waits, `running`, or how the order ended.
    """

    state: str
    ahead: int = 0
    eta_seconds: float = 0.0
