"""Messages owned by gateway: what others ask of the Telegram side and what it reports."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from contracts.envelope import Command, Event, LockKey
from contracts.ids import NOBODY, USER_ID_MAX, OrderId, UserId
from contracts.media import MediaRef
from contracts.money import Credits

UPDATES_SUBJECT = "gateway.updates.{shard}"
"""Raw Telegram updates (JSON bytes). Id `<bot_id>:<update_id>`; header `Vitrine-Sent-At`."""


class DeliverResult(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Send a completed order's result, unless that was done: idempotent by order id."""

    subject: ClassVar[str] = "gateway.cmd.deliver_result.v1"

    order_id: OrderId
    user_id: UserId
    workflow_id: str
    charged_credits: Credits
    outputs: tuple[MediaRef, ...]
    gift: bool = False


class SweepMedia(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Delete stored objects nothing live refers to. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "gateway.cmd.sweep_media.v1"

    due_at: datetime


class DeliveryRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A result reached its chat (`message_id`) or never can (`reason`: errors.UNDELIVERABLE_*)."""

    subject: ClassVar[str] = "gateway.evt.delivery_recorded.v1"

    order_id: OrderId
    user_id: UserId
    message_id: int = 0
    reason: str = ""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)

    def order_keys(self) -> tuple[OrderId, ...]:
        return (self.order_id,)


class RefundStars(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Ask Telegram to give a Stars payment back; a payment given back already counts as done."""

    subject: ClassVar[str] = "gateway.cmd.refund_stars.v1"

    user_id: UserId
    charge_id: str


class EditStarsSubscription(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Stop or resume the renewals of a Stars subscription, named by the charge that began it."""

    subject: ClassVar[str] = "gateway.cmd.edit_stars_subscription.v1"

    user_id: UserId
    charge_id: str
    cancelled: bool


class ReadStarsStatement(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Read what Telegram has booked lately. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "gateway.cmd.read_stars_statement.v1"

    due_at: datetime


class StarsPaid(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Telegram said in a chat that somebody paid. A renewal has a charge id of its own."""

    subject: ClassVar[str] = "gateway.evt.stars_paid.v1"

    user_id: UserId
    charge_id: str
    invoice_payload: str
    amount_minor: int
    currency: str
    paid_at: datetime
    recurring: bool = False
    first_recurring: bool = False
    subscription_until: datetime | None = None
    raw: bytes = b""
    """The payment as Telegram wrote it (JSON)."""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class StarsRefundRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Telegram gave a payment back, asked or not; or refused to (`code`)."""

    subject: ClassVar[str] = "gateway.evt.stars_refund_recorded.v1"

    user_id: UserId
    charge_id: str
    code: str = ""
    """Empty: it was given back."""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class StarsSubscriptionEdited(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Telegram stopped or resumed the renewals, or refused to (`code`)."""

    subject: ClassVar[str] = "gateway.evt.stars_subscription_edited.v1"

    user_id: UserId
    charge_id: str
    cancelled: bool
    code: str = ""

    def lock_keys(self) -> tuple[LockKey, ...]:
        return (self.user_id,)


class StarsTransaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of Telegram's statement. `charge_id` names the payment; a refund repeats it."""

    charge_id: str
    amount_minor: int
    """Positive: it came in; negative: it went back."""
    at: datetime
    user_id: UserId | None = None
    invoice_payload: str = ""


class StarsStatementRead(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A page of Telegram's statement, oldest first."""

    subject: ClassVar[str] = "gateway.evt.stars_statement_read.v1"

    transactions: tuple[StarsTransaction, ...]
    read_at: datetime

    def lock_keys(self) -> tuple[LockKey, ...]:
        users = {each.user_id or NOBODY for each in self.transactions}
        return tuple(sorted(each for each in users if NOBODY < each <= USER_ID_MAX))
