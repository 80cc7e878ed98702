"""Messages between operators and billing: find, try, adjust, refund, decide about held money."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from contracts.envelope import Command, Event, LockKey, Reply, Request
from contracts.ids import NOBODY, OrderId, PaymentId, UserId
from contracts.money import Credits

# What a provider's statement and our charges may differ in.
RECONCILED_MISSING_WITH_US = "missing_with_us"
RECONCILED_MISSING_THERE = "missing_with_provider"
RECONCILED_OTHER_AMOUNT = "other_amount"
RECONCILED_REFUND_MISSING_WITH_US = "refund_missing_with_us"
RECONCILED_REFUND_MISSING_THERE = "refund_missing_with_provider"
RECONCILED_PARTLY_REFUNDED = "partly_refunded"


class ResolveReview(Command, frozen=True, kw_only=True, omit_defaults=True):
    """An operator decides about money that did not match: `credit` so many credits, or none."""

    subject: ClassVar[str] = "billing.cmd.resolve_review.v1"

    provider: str
    charge_id: str
    user_id: UserId
    credits: Credits
    reason: str
    actor: str
    approved_by: str = ""
    """So many credits that a second person has to agree: who did."""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class RecordChargeBack(Command, frozen=True, kw_only=True, omit_defaults=True):
    """The payer's bank took a charge's money back, as its provider told by other ways.

    What it bought is taken back; nobody is called. Above a limit a second person agrees.
    """

    subject: ClassVar[str] = "billing.cmd.record_charge_back.v1"

    provider: str
    charge_id: str
    user_id: UserId
    reason: str
    actor: str
    approved_by: str = ""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class AdjustCredits(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Add (positive) or take (negative) credits by hand. Above a limit a second person agrees."""

    subject: ClassVar[str] = "billing.cmd.adjust_credits.v1"

    adjustment_id: UUID
    user_id: UserId
    credits: Credits
    reason: str
    actor: str
    approved_by: str = ""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class ForgetSealHead(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Forget the head of the ledger's hash chain that is kept outside the database.

    For after a deliberate restore: what is kept is newer than the ledger, and new heads are not
    written over it. `number` is its own, so that no other is forgotten. It takes two people.
    """

    subject: ClassVar[str] = "billing.cmd.forget_seal_head.v1"

    number: int
    reason: str
    actor: str
    approved_by: str = ""

    @property
    def seal_id(self) -> str:
        """What a second person names it by."""
        return f"seal-{self.number}"


class RefundOrder(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give a completed order's credits back, all that is left of them or so many (`credits`).

    They return to the lots they came from, after the debt. One `refund_id` gives once; several
    refunds never give more than was charged, and above a limit a second person agrees. Access that
    is paid back in full is taken back.
    """

    subject: ClassVar[str] = "billing.cmd.refund_order.v1"

    refund_id: UUID
    order_id: OrderId
    user_id: UserId
    reason: str
    actor: str
    credits: Credits | None = None
    approved_by: str = ""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class ReviewResolved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator decided about held money; `credits` 0: nothing was credited."""

    subject: ClassVar[str] = "billing.evt.review_resolved.v1"

    charge_id: str
    user_id: UserId
    provider: str
    credits: Credits
    reason: str
    actor: str


class SealHeadForgotten(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The head kept outside is gone; billing writes the ledger's own there next."""

    subject: ClassVar[str] = "billing.evt.seal_head_forgotten.v1"

    number: int
    reason: str
    actor: str
    approved_by: str


class SealHeadStays(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing was forgotten: what is kept has another number, or agrees with the ledger."""

    subject: ClassVar[str] = "billing.evt.seal_head_stays.v1"

    number: int
    """The one that was to be forgotten."""
    kept: int
    """0: none is kept."""
    found: int
    """That of the ledger's last seal."""


class CreditsAdjusted(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.credits_adjusted.v1"

    adjustment_id: UUID
    user_id: UserId
    credits: Credits
    debt_credits: Credits
    reason: str
    actor: str


class OrderCreditedBack(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator gave credits of a completed order back; some may have paid debt first.

    `left_credits`: what of the price is still charged; 0: all of it came back.
    """

    subject: ClassVar[str] = "billing.evt.order_credited_back.v1"

    refund_id: UUID
    order_id: OrderId
    user_id: UserId
    workflow_id: str
    credits: Credits
    debt_paid_credits: Credits
    left_credits: Credits
    available_credits: Credits
    reason: str
    actor: str
    access_revoked: bool = False


class FindRecords(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Everything billing recorded under an id: of a user, order, payment, charge, gift, code."""

    subject: ClassVar[str] = "billing.rpc.find"

    query: str
    limit: int = 200


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened, or how a thing stands. `what`: `<record>.<state>`."""

    at: datetime
    what: str
    id: str
    detail: dict[str, str] = msgspec.field(default_factory=dict)


class Records(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """In the order of time; empty: nothing is known under that id."""

    facts: tuple[Fact, ...] = ()
    cut: bool = False
    """There were more than `limit`."""


class GetHeld(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Money that waits for a person to decide, the oldest first."""

    subject: ClassVar[str] = "billing.rpc.held"

    limit: int = 100


class HeldCharge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    provider: str
    charge_id: str
    code: str
    """Why it matched no invoice."""
    amount_minor: int
    currency: str
    exponent: int
    """Digits of its minor unit."""
    paid_at: datetime
    user_id: UserId = NOBODY
    payment_id: PaymentId | None = None


class Held(Reply, frozen=True, kw_only=True, omit_defaults=True):
    charges: tuple[HeldCharge, ...] = ()
    cut: bool = False
    """There were more than `limit`."""


class TryCommand(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Handle a command and roll it back: what would it do? Audited as a dry run."""

    subject: ClassVar[str] = "billing.rpc.try_command"

    command_subject: str
    body: bytes
    actor: str


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message it would have sent; `body` is JSON for reading."""

    subject: str
    body: str


class Tried(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """`code`: why it would be refused; empty: it would be done."""

    code: str = ""
    messages: tuple[Said, ...] = ()
    effects: tuple[str, ...] = ()
    """Keys of the outside calls it would make."""


class Reconcile(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Compare what providers say of a period, [since, until), with our charges; change nothing.

    Providers are asked now, so the answer may take much longer than a read.
    """

    subject: ClassVar[str] = "billing.rpc.reconcile"

    since: datetime
    until: datetime
    provider: str = ""
    """Empty: every one that is switched on."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One charge about which a provider and we do not agree (`kind`: RECONCILED_*)."""

    kind: str
    charge_id: str
    at: datetime
    currency: str
    ours_minor: int | None = None
    """None: we know of no such money."""
    theirs_minor: int | None = None
    user_id: UserId = NOBODY
    payment_id: PaymentId | None = None
    state: str = ""
    """How it stands with us."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's period. Amounts are minor units by currency."""

    provider: str
    code: str = ""
    """Why it could not be compared; empty: it was."""
    read_until: datetime | None = None
    """Up to when its statement is known; charges after it are not judged. None: all of it."""
    matched: int = 0
    matched_minor: dict[str, int] = msgspec.field(default_factory=dict)
    refunds: int = 0
    """Given back in full on both sides."""
    refunded_minor: dict[str, int] = msgspec.field(default_factory=dict)
    states_refunds: bool = True
    """False: this provider's statement says nothing about money that went back."""
    differences: tuple[Difference, ...] = ()
    cut: int = 0
    """So many more differences than are shown."""


class Reconciliation(Reply, frozen=True, kw_only=True, omit_defaults=True):
    providers: tuple[Reconciled, ...] = ()
