"""Messages owned by gateway: what others ask of the Telegram side and what it reports."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from contracts.envelope import Command, Event
from contracts.media import MediaRef

UPDATES_SUBJECT = "gateway.updates.{shard}"
"""Raw Telegram updates (JSON bytes). Id `<bot_id>:<update_id>`; header `Vitrine-Sent-At`."""


class DeliverResult(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Send a completed order's result, unless that was done: idempotent by order id."""

    subject: ClassVar[str] = "gateway.cmd.deliver_result.v1"

    order_id: UUID
    user_id: int
    workflow_id: str
    charged_credits: int
    outputs: tuple[MediaRef, ...]
    gift: bool = False


class SweepMedia(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Delete stored objects nothing live refers to. Sent by a scheduler tick: a hint."""

    subject: ClassVar[str] = "gateway.cmd.sweep_media.v1"

    due_at: datetime


class DeliveryRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A result reached its chat (`message_id`) or never can (`reason`: errors.UNDELIVERABLE_*)."""

    subject: ClassVar[str] = "gateway.evt.delivery_recorded.v1"

    order_id: UUID
    user_id: int
    message_id: int = 0
    reason: str = ""

    def lock_keys(self) -> tuple[int, ...]:
        return (self.user_id,)
