"""Messages between operators and billing: find, try, adjust, decide about money that is held."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from contracts.envelope import Command, Event, LockKey, Reply, Request
from contracts.ids import UserId
from contracts.money import Credits


class ResolveReview(Command, frozen=True, kw_only=True, omit_defaults=True):
    """An operator decides about money that did not match: `credit` so many credits, or none."""

    subject: ClassVar[str] = "billing.cmd.resolve_review.v1"

    provider: str
    charge_id: str
    user_id: UserId
    credits: Credits
    reason: str
    actor: str

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


class ReviewResolved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator decided about held money; `credits` 0: nothing was credited."""

    subject: ClassVar[str] = "billing.evt.review_resolved.v1"

    charge_id: str
    user_id: UserId
    provider: str
    credits: Credits
    reason: str
    actor: str


class CreditsAdjusted(Event, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "billing.evt.credits_adjusted.v1"

    adjustment_id: UUID
    user_id: UserId
    credits: Credits
    debt_credits: Credits
    reason: str
    actor: str


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
