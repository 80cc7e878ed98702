"""The wire form of every message: a msgspec Struct as MessagePack, and the headers beside it."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

import msgspec

from contracts.ids import MessageId, OrderId, UserId

HEADER_ID = "Nats-Msg-Id"
HEADER_TRACE = "traceparent"
HEADER_SENT_AT = "Vitrine-Sent-At"
HEADER_AGGREGATE = "Vitrine-Aggregate"
HEADER_VERSION = "Vitrine-Version"
HEADER_ORDER = "Vitrine-Order"
"""The order id as text, so that an undecodable job can still be answered and refunded."""

HEADER_SIGNATURE = "Vitrine-Signature"
"""Who sent it, and the proof (chassis.signatures); it covers every other header of ours."""

LockKey = UserId
"""What a batch locks before it is worked, ascending: people's accounts, by their owner."""

MESSAGE_BYTES_MAX = 1_000_000
"""nats-server's default max_payload is 1 MiB; media travel through the object store."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a contract. Unknown fields are ignored; required ones are never added to a v1.

    `subject` is where it travels (a template where the subject has variable tokens).
    `carries_state` says that it describes the whole of an aggregate at a version: a message that
    is not newer than the recorded version is ignored. Messages that add are never judged so.
    """

    subject: ClassVar[str] = ""
    carries_state: ClassVar[bool] = False

    def lock_keys(self) -> tuple[LockKey, ...]:
        """User ids whose accounts this message may change, so a batch can lock them in order."""
        return ()

    def order_keys(self) -> tuple[Hashable, ...]:
        """What it is about: a batch handles messages with a common key in order of delivery.

        Without one nothing of its batch passes it.
        """
        return self.lock_keys()

    def encode(self) -> bytes:
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises msgspec.DecodeError (malformed) or msgspec.ValidationError (other fields)."""
        message: Self = _decoder(cls).decode(body)
        return message


class Command(Message, frozen=True, kw_only=True, omit_defaults=True):
    """An order to its owner: imperative, `<owner>.cmd.<verb_noun>.v1`.

    One that *sets* something may come after a newer one: its handler asks
    `uow.is_last_word` first, which goes by the time of the message's id (ADR 0018).
    """


class Event(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A fact from its owner: past tense, `<owner>.evt.<noun_past>.v1`."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a request on `<owner>.rpc.<name>`."""


class Request(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A read over core NATS request/reply; answered within 2 s or not at all."""


class RpcError(msgspec.Struct, frozen=True, kw_only=True, tag="error"):
    """What a request is answered with when it cannot be served."""

    code: str
    message: str = ""


class Headers(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed headers of a message."""

    id: MessageId
    traceparent: str = ""
    sent_at: datetime | None = None
    aggregate: str = ""
    version: int = 0
    order_id: OrderId | None = None

    def to_wire(self) -> dict[str, str]:
        wire = {HEADER_ID: str(self.id)}
        if self.traceparent:
            wire[HEADER_TRACE] = self.traceparent
        if self.sent_at is not None:
            wire[HEADER_SENT_AT] = self.sent_at.isoformat()
        if self.aggregate:
            wire[HEADER_AGGREGATE] = self.aggregate
            wire[HEADER_VERSION] = str(self.version)
        if self.order_id is not None:
            wire[HEADER_ORDER] = str(self.order_id)
        return wire

    @classmethod
    def from_wire(cls, wire: dict[str, str]) -> Headers:
        """Raises ValueError when the id, a date or a version is malformed."""
        sent_at = wire.get(HEADER_SENT_AT)
        order_id = wire.get(HEADER_ORDER)
        return cls(
            id=MessageId(UUID(wire.get(HEADER_ID, ""))),
            traceparent=wire.get(HEADER_TRACE, ""),
            sent_at=datetime.fromisoformat(sent_at) if sent_at else None,
            aggregate=wire.get(HEADER_AGGREGATE, ""),
            version=int(wire.get(HEADER_VERSION, "0")),
            order_id=OrderId(UUID(order_id)) if order_id else None,
        )


M = TypeVar("M", bound=Message)
_ENCODER = msgspec.msgpack.Encoder()


@cache
def _decoder(kind: type[Any]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


def contracts_of(*modules: Any) -> dict[str, type[Message]]:
    """Every concrete message class of the given contract modules, by subject."""
    found: dict[str, type[Message]] = {}
    for module in modules:
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Message) and item.subject:
                found[item.subject] = item
    return found
