"""Messages owned by billing: accounts, orders, credits and tiers."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.envelope import Command, Event, Reply, Request
from contracts.ids import NOBODY, MessageId, OrderId, UserId
from contracts.media import MediaRef
from contracts.money import NO_CREDITS, Credits

TIER_NONE = "none"
TIER_VIP = "vip"
TIER_BLACK_GOLD = "black_gold"
TIER_BY_PURCHASE = "purchase"
TIER_BY_PROMO = "promo"
LANE_PRIORITY = "priority"
LANE_REGULAR = "regular"
LOT_TRIAL = "trial"
LOT_BONUS = "bonus"
LOT_PAID = "paid"


class OpenAccount(Command, frozen=True, kw_only=True, omit_defaults=True):
    """A person appeared: open their account with the trial credits, once."""

    subject: ClassVar[str] = "billing.cmd.open_account.v1"

    user_id: UserId
    deep_link: str = ""

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)


class PlaceOrder(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Confirm one screen. The same `order_id` with other business fields is rejected."""

    subject: ClassVar[str] = "billing.cmd.place_order.v1"

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    catalogue_version: int
    price_credits: Credits
    """The price the person saw; billing computes its own and refuses on a difference."""
    priced_at: datetime
    inputs: tuple[MediaRef, ...] = ()
    params: dict[str, str] = msgspec.field(default_factory=dict)

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)


class CancelOrder(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The person (or an operator) wants the order stopped; the generator decides the race."""

    subject: ClassVar[str] = "billing.cmd.cancel_order.v1"

    order_id: OrderId
    user_id: UserId
    reason: str = "cancelled_by_user"

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)


class GrantCredits(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Add credits. `grant_key` names the business reason once: the same key adds nothing twice."""

    subject: ClassVar[str] = "billing.cmd.grant_credits.v1"

    grant_key: str
    user_id: UserId
    credits: Credits
    reason: str
    actor: str
    lot: str = LOT_BONUS
    expires_at: datetime | None = None
    approved_by: str = ""
    """So many credits that a second person has to agree: who did."""

    def lock_keys(self) -> tuple[UserId, ...]:
        return (self.user_id,)


class SetTier(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give a tier until a moment (None: without end), or take it (`none`)."""

    subject: ClassVar[str] = "billing.cmd.set_tier.v1"

    user_id: UserId
    tier: str
    reason: str
    actor: str
    until: datetime | None = None
    approved_by: str = ""
    """Worth so many credits that a second person has to agree: who did."""

    def lock_keys(self) -> tuple[UserId, ...]:
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

    user_id: UserId
    trial_credits: Credits


class OrderAccepted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The price is held and the job is queued. State of the order at version 1."""

    subject: ClassVar[str] = "billing.evt.order_accepted.v1"
    carries_state: ClassVar[bool] = True

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    price_credits: Credits
    pool: str
    lane: str
    start_before: datetime


class OrderRefused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was held, nothing will run (`code`: see contracts.errors)."""

    subject: ClassVar[str] = "billing.evt.order_refused.v1"
    carries_state: ClassVar[bool] = True

    order_id: OrderId
    user_id: UserId
    code: str
    workflow_id: str = ""
    price_credits: Credits | None = None
    """The price that holds now, where the shown one no longer does."""
    available_credits: Credits | None = None
    limit: int | None = None
    debt_credits: Credits = NO_CREDITS
    """What is owed, where that is why; it is paid before any order."""


class OrderCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The hold was posted (or, late, the result is given as a `gift`); deliver the result."""

    subject: ClassVar[str] = "billing.evt.order_completed.v1"
    carries_state: ClassVar[bool] = True

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    charged_credits: Credits
    outputs: tuple[MediaRef, ...]
    cancel_lost: bool = False
    """A cancel was asked for but the result came first; the person is told so."""
    gift: bool = False
    available_credits: Credits | None = None
    """What the person has left after it; None: not told."""


class OrderRefunded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The hold was voided: nobody was charged (`reason`: a failure class or a cancel code)."""

    subject: ClassVar[str] = "billing.evt.order_refunded.v1"
    carries_state: ClassVar[bool] = True

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    returned_credits: Credits
    reason: str
    cancelled: bool = False
    debt_paid_credits: Credits = NO_CREDITS
    """What of the returned credits paid a debt and did not come into the balance."""


class CommandRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A command contradicted what is recorded; nothing changed."""

    subject: ClassVar[str] = "billing.evt.command_rejected.v1"

    command_subject: str
    command_id: MessageId
    code: str
    user_id: UserId = NOBODY
    order_id: OrderId | None = None


class CreditsGranted(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.credits_granted.v1"

    user_id: UserId
    credits: Credits
    lot: str
    reason: str
    debt_paid_credits: Credits = NO_CREDITS
    grant_key: str = ""


class TierSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """State of the user's tier."""

    subject: ClassVar[str] = "billing.evt.tier_set.v1"
    carries_state: ClassVar[bool] = True

    user_id: UserId
    tier: str
    until: datetime | None = None
    cause: str = ""
    """`purchase` or `promo`: another event tells the person; empty: this one does."""


class TrialRenewed(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.trial_renewed.v1"

    user_id: UserId
    credits: Credits
    expires_at: datetime


class AuditCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """`drift` lists account numbers whose lots, balance and replay differ; empty is healthy."""

    subject: ClassVar[str] = "billing.evt.audit_completed.v1"

    accounts: int
    transfers: int
    drift: tuple[int, ...] = ()
    broken_seals: tuple[int, ...] = ()
    """Seals of the hash chain that do not hold; empty is healthy."""


class GetBalance(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.balance"

    user_id: UserId


class LotBalance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    lot: str
    remaining_credits: Credits
    expires_at: datetime | None = None


class Balance(Reply, frozen=True, kw_only=True, omit_defaults=True):
    user_id: UserId
    opened: bool = False
    """False: billing has not yet seen this person; all amounts are 0."""
    available_credits: Credits = NO_CREDITS
    held_credits: Credits = NO_CREDITS
    spent_today_credits: Credits = NO_CREDITS
    debt_credits: Credits = NO_CREDITS
    tier: str = TIER_NONE
    tier_until: datetime | None = None
    lots: tuple[LotBalance, ...] = ()


class GetPrice(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.price"

    user_id: UserId
    workflow_id: str


class Price(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What an order would cost this person now; valid 15 minutes by default."""

    workflow_id: str
    catalogue_version: int
    price_credits: Credits
    base_price_credits: Credits
    priced_at: datetime
    available_credits: Credits = NO_CREDITS
    free_left_today: int | None = None
    """How many free orders are left today; None: no daily limit applies."""
    tier: str = TIER_NONE
    discount_percent: int = 0
    """What the price is lower by than the base price, rounded up to a whole credit."""
    discount_until: datetime | None = None
    debt_credits: Credits = NO_CREDITS
    """What is owed; nothing is ordered until it is paid."""


class GetHistory(Request, frozen=True, kw_only=True, omit_defaults=True):
    """One page of a person's ledger, newest first; `before` is the last page's `next_before`."""

    subject: ClassVar[str] = "billing.rpc.history"

    user_id: UserId
    before: str = ""
    limit: int = 8


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind`: hold, post, void, expire, grant, trial, revoke, restore, adjust, gift or gift_back.

    A gift that was made takes credits, one that was opened adds them. `tier` and `discount` move
    none: a status that came or went, a discount that was won or given (`reason`: where from).
    Nor do `refund`, the money of a plan that went back, and `free`, an order a discount paid.
    """

    at: datetime
    kind: str
    credits: Credits
    """Signed: what it did to the available balance (a post is 0 there: the hold took it)."""
    amount_credits: Credits
    order_id: OrderId | None = None
    workflow_id: str = ""
    reason: str = ""
    percent: int = 0
    """Of a discount, or what an order's price was lower by."""
    tier: str = ""
    until: datetime | None = None
    days: int = 0
    """Of the plan that was paid for, or whose money went back."""
    taken_days: int = 0
    """What the refund of a plan took of its days."""
    amount_minor: int = 0
    currency: str = ""
    debt_credits: Credits = NO_CREDITS
    """Signed, and beside `credits`: above 0 it paid what was owed, below 0 it is owed since."""


class History(Reply, frozen=True, kw_only=True, omit_defaults=True):
    entries: tuple[HistoryEntry, ...] = ()
    next_before: str = ""


class GetQueuePosition(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.rpc.queue_position"

    order_id: OrderId


class QueuePosition(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Orders that will start earlier (0: next), and a guess of the wait in seconds.

    `state`: `accepted` while it waits, `running`, or how the order ended.
    """

    state: str
    ahead: int = 0
    eta_seconds: float = 0.0
