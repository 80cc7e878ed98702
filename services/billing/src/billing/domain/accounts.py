"""Accounts: one person's balances, what is held of them, and the entries every move leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from billing.domain.lots import Lot
from contracts.billing import TIER_NONE
from contracts.ids import OrderId, UserId
from contracts.money import CREDITS_MAX, NO_CREDITS, Credits

# The person's own accounts, and the house's. House accounts are never stored, only derived from
# transfers, so that no row of the database is hot.
AVAILABLE = "available"
HELD = "held"
DEBT = "debt"
SALES = "house:sales"
GIFTS = "house:gifts"
REVENUE = "house:revenue"
BREAKAGE = "house:breakage"
REVOCATIONS = "house:revocations"
WAITING = "house:gifts_waiting"

KIND_HOLD = "hold"
KIND_POST = "post"
KIND_VOID = "void"
KIND_EXPIRE = "expire"
KIND_GRANT = "grant"
KIND_TRIAL = "trial"
KIND_REVOKE = "revoke"
KIND_RESTORE = "restore"
KIND_ADJUST = "adjust"
KIND_PLAN = "plan"
KIND_GIFT = "gift"
KIND_GIFT_BACK = "gift_back"
KIND_CREDIT_BACK = "credit_back"

Parts = tuple[tuple[int, Credits], ...]
"""What was taken from which lots: (lot number, amount)."""

PENDING = "pending"
POSTED = "posted"
VOIDED = "voided"
HOLD_EXPIRED = "expired"


class Transfer(NamedTuple):
    """One immutable entry. `number` counts the account's transfers without gaps from 1."""

    user_id: UserId
    number: int
    lot: int
    debit: str
    credit: str
    amount: Credits
    kind: str
    order_id: OrderId | None
    reason: str


@dataclass(slots=True)
class TierStep:
    """One thing that gave days of a tier, or set it outright: a tier follows from its steps.

    `since` and `until` are what it gave when it was given; `span` None: it was set until then.
    """

    version: int
    """The account's `tier_version` it led to."""
    tier: str
    given_at: datetime
    span: timedelta | None
    at_least: datetime | None
    since: datetime
    until: datetime | None
    withdrawn: bool = False
    """Its money went back: it counts no more."""


@dataclass(slots=True)
class Account:
    """One person's balances; `available` is the sum of their lots, `held` of their holds."""

    user_id: UserId
    available: Credits = NO_CREDITS
    held: Credits = NO_CREDITS
    debt: Credits = NO_CREDITS
    in_flight: int = 0
    transfers: int = 0
    lots_opened: int = 0
    tier: str = TIER_NONE
    tier_until: datetime | None = None
    tier_version: int = 0
    trial_renews_at: datetime | None = None
    lots: dict[int, Lot] = field(default_factory=dict)
    steps: list[TierStep] = field(default_factory=list)
    """Those that were loaded, and those made since; the oldest first."""


@dataclass(slots=True)
class Hold:
    """Credits set aside for one order: pending, then once posted, voided or expired.

    `parts` are the lots they came from: (lot number, amount).
    """

    order_id: OrderId
    user_id: UserId
    amount: Credits
    expires_at: datetime
    state: str = PENDING
    parts: Parts = ()
    quota_day: date | None = None
    """The shop day whose free quota this hold uses, if it uses any."""
    debt_paid: Credits = NO_CREDITS
    """What its return paid of the debt; known only where it is voided, and told from there."""


def has_room(account: Account, amount: Credits) -> bool:
    """Whether an account can hold so many more credits."""
    return account.available + account.held + amount <= CREDITS_MAX
