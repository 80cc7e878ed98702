"""What tests of vpn share: messages as a consumer hands them over, people on a node."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar
from uuid import UUID, uuid4

from chassis.clock import new_id
from chassis.consumers import Received
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from vpn.domain.desired import Entry, entry

M = TypeVar("M", bound=Message)


def received(message: M, said: UUID | None = None) -> Received[M]:
    """The message as a batch handler gets it; `said`: under that id."""
    return Received(message, Headers(id=MessageId(said or new_id())), message.subject, 1)


def somebody(number: int, until: datetime) -> Entry:
    """An entry as of a subscription that nobody here issued."""
    return entry(str(UUID(int=number, version=4)), uuid4(), until)
