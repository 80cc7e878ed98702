"""Takes updates from Telegram: stored in the stream UPDATES before Telegram is told so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, tracing
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import Clock
from chassis.errors import TransientError
from chassis.tracing import Attributes
from contracts.envelope import HEADER_ID, HEADER_SENT_AT, HEADER_TRACE
from contracts.gateway import UPDATES_SUBJECT
from contracts.generator import shard_of
from gateway.adapters.telegram import RejectedError

log = logs.get("gateway.intake")
ALLOWED_UPDATES = ("message", "callback_query", "pre_checkout_query", "my_chat_member")
"""Telegram sends nothing else; kinds a webhook set elsewhere lets through are acknowledged."""

STORE_TIMEOUT = timedelta(seconds=3)
PRE_CHECKOUT_TIMEOUT = timedelta(seconds=2)

received_count = metrics.counter("gateway.updates.received", description="by way in")


class _Id(msgspec.Struct):
    id: int = 0


class _Member(msgspec.Struct):
    status: str = ""


class _Message(msgspec.Struct, rename={"sender": "from"}):
    sender: _Id | None = None
    chat: _Id | None = None
    new_chat_member: _Member | None = None
    """Of `my_chat_member` only: in a message the field holds a user."""


class _Callback(msgspec.Struct, rename={"sender": "from"}):
    id: str = ""
    sender: _Id | None = None
    message: _Message | None = None


class PreCheckout(msgspec.Struct, rename={"sender": "from"}):
    """A payment about to be made: to be answered within ten seconds, by whoever received it."""

    id: str
    sender: _Id
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
    def user_id(self) -> int:
        """Whose line the update waits in; 0 for what nobody in particular sent."""
        for part in (self.message, self.callback_query, self.my_chat_member):
            if part is not None and part.sender is not None:
                return part.sender.id
        return self.pre_checkout_query.sender.id if self.pre_checkout_query else 0

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
AnswerPreCheckout = Callable[[PreCheckout], Awaitable[None]]


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

    async def store(self, bodies: Sequence[bytes], *, way: str) -> int:
        """Store updates, in order; return how many from the front are safe.

        Raises TransientError when the broker is away; msgspec errors when one is not an update.
        """
        peeked = [peek(body) for body in bodies]
        for each in peeked:
            if each.pre_checkout_query is not None:
                await self._pre_checkout(each.pre_checkout_query)
        attributes: Attributes = {"gateway.way": way, "gateway.updates": len(bodies)}
        if len(bodies) == 1:
            with tracing.span("receive update", kind=SpanKind.SERVER, attributes=attributes):
                message = self._message(peeked[0], bodies[0])
                await self._broker.publish(
                    message.subject, message.body, message.headers, timeout=STORE_TIMEOUT
                )
            stored = [True]
        else:
            messages = []
            for each, body in zip(peeked, bodies, strict=True):
                with tracing.span("receive update", kind=SpanKind.SERVER, attributes=attributes):
                    messages.append(self._message(each, body))
            stored = await self._broker.publish_all(messages)
        received_count.add(len(bodies), {"way": way})
        return stored.index(False) if False in stored else len(stored)

    def _message(self, each: Peek, body: bytes) -> OutgoingMessage:
        headers: dict[str, str] = {
            HEADER_ID: f"{self._bot_id}:{each.update_id}",
            HEADER_SENT_AT: self._clock.now().isoformat(),
        }
        if traceparent := tracing.inject():
            headers[HEADER_TRACE] = traceparent
        subject = UPDATES_SUBJECT.format(shard=shard_of(each.user_id))
        return OutgoingMessage(subject, body, headers)


def decline(call: Callable[..., Awaitable[Any]], text: Callable[[str], str]) -> AnswerPreCheckout:
    """Answer every pre-checkout with a no: this release sells nothing through Telegram yet."""

    async def answer(query: PreCheckout) -> None:
        body = {"pre_checkout_query_id": query.id, "ok": False, "error_message": text("")}
        try:
            await call("answerPreCheckoutQuery", body, timeout=PRE_CHECKOUT_TIMEOUT)
        except (TransientError, RejectedError) as error:
            # Telegram cancels the payment after ten seconds by itself: that is a no as well.
            log.warning("pre_checkout_not_answered", reason=type(error).__name__)
        else:
            log.info("pre_checkout_declined")

    return answer
