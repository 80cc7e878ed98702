"""One delivered message of a durable consumer, and the five ways to settle it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import NamedTuple

from chassis.errors import TransientError
from chassis.nats_client import NatsError, PatchedClient
from chassis.wire import Frame, publish_frame

ACK_PREFIX = "$JS.ACK."
ACK_TOKENS_V1 = 9
ACK_SYNC_TIMEOUT = timedelta(seconds=5)
WORK_IN_PROGRESS = b"+WPI"


class BrokerUnavailableError(TransientError):
    """NATS did not answer in time: whether it did what was asked is not known."""


class AckSubject(NamedTuple):
    """What the server writes into the reply subject of a delivery."""

    stream: str
    consumer: str
    deliveries: int
    stream_sequence: int
    consumer_sequence: int
    pending: int

    @classmethod
    def parse(cls, subject: str) -> AckSubject:
        """Read either form: v1 with 9 tokens, v2 with domain and account before the stream."""
        tokens = subject.split(".")
        if not subject.startswith(ACK_PREFIX) or len(tokens) < ACK_TOKENS_V1:
            raise ValueError(f"not an ack subject: {subject!r}")
        start = 2 if len(tokens) == ACK_TOKENS_V1 else 4
        stream, consumer, deliveries, stream_sequence, consumer_sequence, _time, pending = tokens[
            start : start + 7
        ]
        return cls(
            stream,
            consumer,
            int(deliveries),
            int(stream_sequence),
            int(consumer_sequence),
            int(pending),
        )


class Settlement:
    """The five answers to a delivery; also for one that an earlier process was given."""

    __slots__ = ("_client", "ack_subject", "settled")

    def __init__(self, client: PatchedClient, ack_subject: str) -> None:
        self._client = client
        self.ack_subject = ack_subject
        self.settled = False
        """An answer that ends this delivery was sent. `in progress` after it would undo a nak's
        delay, or keep alive what is somebody else's by now."""

    @property
    def ack_frame(self) -> bytes:
        """An acknowledgement on the wire, for those who write many at once."""
        return b"PUB %b  0\r\n\r\n" % self.ack_subject.encode()

    async def ack(self) -> None:
        """Done. A lost ack means a redelivery, which the inbox absorbs."""
        self.settled = True
        await self._send(b"")

    async def ack_sync(self, timeout: timedelta = ACK_SYNC_TIMEOUT) -> None:
        """Done, and known to be recorded by the server."""
        try:
            answer = await self._client.ask(self.ack_subject, timeout=timeout.total_seconds())
        except (TimeoutError, NatsError) as error:
            raise BrokerUnavailableError(f"no answer to an ack: {type(error).__name__}") from error
        if answer.status:
            raise BrokerUnavailableError(f"an ack was not taken: {answer.status}")
        self.settled = True

    async def nak(self, delay: timedelta | None = None) -> None:
        """Hand it back, to be delivered again at once or after `delay`."""
        self.settled = True
        body = b"-NAK"
        if delay:
            nanoseconds = int(delay.total_seconds() * 1e9)
            body = b"-NAK " + json.dumps({"delay": nanoseconds}).encode()
        await self._send(body)

    async def in_progress(self) -> None:
        """Still at work: the server starts counting ack_wait anew."""
        await self._send(WORK_IN_PROGRESS)

    async def term(self, reason: str = "") -> None:
        """Never deliver it again; the reason appears in the server's advisory."""
        self.settled = True
        await self._send(f"+TERM {reason}".strip().encode())

    def nak_soon(self) -> None:
        self.settled = True
        self._send_soon(b"-NAK")

    def in_progress_soon(self) -> None:
        """`in_progress` for callbacks that cannot wait; dropped while the buffer is full."""
        if not self.settled:
            self._send_soon(WORK_IN_PROGRESS)

    async def _send(self, body: bytes) -> None:
        try:
            await self._client.send([publish_frame(self.ack_subject, body)])
        except NatsError as error:
            raise BrokerUnavailableError(f"not settled: {type(error).__name__}") from error

    def _send_soon(self, body: bytes) -> None:
        try:
            self._client.send_soon([publish_frame(self.ack_subject, body)])
        except NatsError:
            return  # not settled: the server delivers it again


class Delivery(Settlement):
    """A message a durable consumer was given, until it is settled or ack_wait has passed."""

    __slots__ = ("_frame", "_headers", "_position", "body", "received_at", "subject")

    def __init__(self, client: PatchedClient, frame: Frame, received_at: float) -> None:
        super().__init__(client, frame.reply)
        self._frame = frame
        self._headers: dict[str, str] | None = None
        self._position: AckSubject | None = None
        self.subject = frame.subject
        self.body = frame.body
        self.received_at = received_at
        """On the event loop's clock."""

    @property
    def headers(self) -> dict[str, str]:
        if self._headers is None:
            self._headers = self._frame.headers
        return self._headers

    @property
    def position(self) -> AckSubject:
        if self._position is None:
            self._position = AckSubject.parse(self.ack_subject)
        return self._position

    @property
    def stream(self) -> str:
        return self.position.stream

    @property
    def consumer(self) -> str:
        return self.position.consumer

    @property
    def stream_sequence(self) -> int:
        return self.position.stream_sequence

    @property
    def deliveries(self) -> int:
        """How often it was delivered, this time included."""
        return self.position.deliveries

    @property
    def pending(self) -> int:
        """How many more the consumer had to deliver when it sent this one."""
        return self.position.pending


def is_delivery(frame: Frame) -> bool:
    """Status frames (heartbeat, timeout, refusal) carry no ack subject."""
    return frame.reply.startswith(ACK_PREFIX)
