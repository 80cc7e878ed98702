"""Takes updates from Telegram: stored in the stream UPDATES before Telegram is told so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, tracing
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import Clock
from chassis.tracing import Attributes
from contracts.envelope import HEADER_ID, HEADER_SENT_AT, HEADER_TRACE
from contracts.gateway import UPDATES_SUBJECT
from contracts.generator import shard_of
from contracts.ids import NOBODY, UserId

log = logs.get("gateway.intake")
ALLOWED_UPDATES = ("message", "callback_query", "pre_checkout_query", "my_chat_member")
"""Telegram sends nothing else; kinds a webhook set elsewhere lets through are acknowledged."""

STORE_TIMEOUT = timedelta(seconds=3)

received_count = metrics.counter("gateway.updates.received", description="by way in")


class _Sender(msgspec.Struct):
    id: UserId = NOBODY
    language_code: str = ""


class _Chat(msgspec.Struct):
    id: int = 0


class _Member(msgspec.Struct):
    status: str = ""


class _Message(msgspec.Struct, rename={"sender": "from"}):
    sender: _Sender | None = None
    chat: _Chat | None = None
    refunded_payment: msgspec.Raw = msgspec.Raw()
    """Said by the bot itself: the person is the one whose chat it is."""
    new_chat_member: _Member | None = None
    """Of `my_chat_member` only: in a message the field holds a user."""


class _Callback(msgspec.Struct, rename={"sender": "from"}):
    id: str = ""
    sender: _Sender | None = None
    message: _Message | None = None


class PreCheckout(msgspec.Struct, rename={"sender": "from"}):
    """A payment about to be made: to be answered within ten seconds, by whoever received it."""

    id: str
    sender: _Sender
    currency: str = ""
    total_amount: int = 0
    invoice_payload: str = ""


class Peek(msgspec.Struct):
    """The little that must be known of an update to route it; the rest stays as it came."""

    update_id: int
    malformed: bool = False
    """The id could be read, the rest is of another shape: it is stored, then parked."""
    message: _Message | None = None
    callback_query: _Callback | None = None
    my_chat_member: _Message | None = None
    pre_checkout_query: PreCheckout | None = None

    @property
    def user_id(self) -> UserId:
        """Whose line the update waits in; 0 for what nobody in particular sent."""
        if self.message is not None and self.message.refunded_payment and self.message.chat:
            return UserId(max(self.message.chat.id, 0))
        for part in (self.message, self.callback_query, self.my_chat_member):
            if part is not None and part.sender is not None:
                return part.sender.id
        return self.pre_checkout_query.sender.id if self.pre_checkout_query else NOBODY

    @property
    def chat_id(self) -> int:
        """Where the answer goes: a group has a negative id."""
        tapped = self.callback_query.message if self.callback_query else None
        for part in (self.message, tapped, self.my_chat_member):
            if part is not None and part.chat is not None:
                return part.chat.id
        return self.user_id

    @property
    def callback_id(self) -> str:
        return self.callback_query.id if self.callback_query else ""


class _Number(msgspec.Struct):
    update_id: int


_NUMBER = msgspec.json.Decoder(_Number)
_PEEK = msgspec.json.Decoder(Peek)
AnswerPreCheckout = Callable[[PreCheckout], None]
"""Begins to answer; the answer itself goes on beside the intake."""


def peek(body: bytes) -> Peek:
    """Raises msgspec.DecodeError or ValidationError for what is not an update."""
    try:
        return _PEEK.decode(body)
    except msgspec.ValidationError:
        return Peek(_NUMBER.decode(body).update_id, malformed=True)


class Intake:
    """The same for polling and webhook: an update's id makes a second storing harmless."""

    def __init__(
        self, broker: Broker, clock: Clock, *, bot_id: int, pre_checkout: AnswerPreCheckout
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._bot_id = bot_id
        self._pre_checkout = pre_checkout
        self._came_at = datetime.min.replace(tzinfo=UTC)
        """The moment of the last update."""

    async def store(self, bodies: Sequence[bytes], *, way: str) -> int:
        """Store updates, in order; return how many from the front are safe.

        Raises TransientError when the broker is away; msgspec errors when one is not an update.
        """
        peeked = [peek(body) for body in bodies]
        lasting = []
        for index, each in enumerate(peeked):
            if each.pre_checkout_query is None:
                lasting.append(index)
            else:
                # Answered at once or never: after ten seconds it is worth nothing, so it is not
                # stored, and the updates behind it do not wait for it.
                self._pre_checkout(each.pre_checkout_query)
        received_count.add(len(bodies), {"way": way})
        stored = await self._publish([(peeked[index], bodies[index]) for index in lasting], way)
        return lasting[stored] if stored < len(lasting) else len(bodies)

    async def _publish(self, updates: Sequence[tuple[Peek, bytes]], way: str) -> int:
        """Return how many from the front are stored."""
        attributes: Attributes = {"gateway.way": way, "gateway.updates": len(updates)}
        if len(updates) == 1:
            with tracing.span("receive update", kind=SpanKind.SERVER, attributes=attributes):
                message = self._message(*updates[0])
                await self._broker.publish(
                    message.subject, message.body, message.headers, timeout=STORE_TIMEOUT
                )
            return 1
        messages = []
        for each, body in updates:
            with tracing.span("receive update", kind=SpanKind.SERVER, attributes=attributes):
                messages.append(self._message(each, body))
        stored = await self._broker.publish_all(messages) if messages else []
        return stored.index(False) if False in stored else len(stored)

    def _message(self, each: Peek, body: bytes) -> OutgoingMessage:
        headers: dict[str, str] = {
            HEADER_ID: f"{self._bot_id}:{each.update_id}",
            HEADER_SENT_AT: self._moment().isoformat(),
        }
        if traceparent := tracing.inject():
            headers[HEADER_TRACE] = traceparent
        subject = UPDATES_SUBJECT.format(shard=shard_of(each.user_id))
        return OutgoingMessage(subject, body, headers)

    def _moment(self) -> datetime:
        """Now, but a millisecond after the update before: by it their words are told apart."""
        self._came_at = max(self._clock.now(), self._came_at + timedelta(milliseconds=1))
        return self._came_at
