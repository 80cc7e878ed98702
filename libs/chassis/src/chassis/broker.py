"""The connection to NATS, and everything a service does over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import msgspec

from chassis import logs, messaging_spans
from chassis.deliveries import BrokerUnavailableError, Delivery, Settlement
from chassis.ephemeral import Callback, Ephemeral, Subscription
from chassis.identity import Identity
from chassis.nats_client import (
    NO_RESPONDERS,
    Mitigations,
    NatsError,
    NotAdmittedError,
    PatchedClient,
    UnexpectedEOF,
)
from chassis.publishing import (
    PUBLISH_TIMEOUT,
    OutgoingMessage,
    PubAck,
    Publisher,
    PublishRefusedError,
    StreamFullError,
    WrongSequenceError,
)
from chassis.pull import IDLE_HEARTBEAT, STALE_AFTER, Pull
from chassis.signatures import Signatures
from chassis.wire import MessageTooLargeError, publish_frame
from contracts.topology import BATCH_MAX

__all__ = [
    "ApiError",
    "Broker",
    "BrokerUnavailableError",
    "ConsumerState",
    "Delivery",
    "Ephemeral",
    "Identity",
    "MessageTooLargeError",
    "Mitigations",
    "OutgoingMessage",
    "PubAck",
    "PublishRefusedError",
    "Pull",
    "Settlement",
    "StreamFullError",
    "Subscription",
    "WrongSequenceError",
]

log = logs.get("chassis.broker")
API_TIMEOUT = timedelta(seconds=5)
CONNECT_SECONDS_MAX = 2
CONNECT_PAUSE_SECONDS = 0.25
SAME_REASON_SECONDS = 30.0
RECONNECT_FIRST_SECONDS = 0.05
RECONNECT_MAX_SECONDS = 2.0
PING_SECONDS = 5
PINGS_LOST_MAX = 2
UNSENT_BYTES_MAX = 4 << 20
NOT_FOUND = 404
PERMISSION = "permissions violation"
LATE_ANSWERS = tuple(f'permissions violation for publish to "{to}' for to in ("_inbox_", "_r_."))
"""The right to answer lasts seconds, and as long as the connection; who asked has given up then."""


class ApiError(Exception):
    """JetStream refused a request about a stream or a consumer."""

    def __init__(self, subject: str, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{subject}: {err_code} {description}")
        self.code = code
        self.err_code = err_code
        self.description = description


class ConsumerState(msgspec.Struct, frozen=True):
    num_pending: int = 0
    """Messages not yet delivered."""
    num_ack_pending: int = 0
    """Messages delivered and not settled."""
    num_redelivered: int = 0
    num_waiting: int = 0
    """Pull requests parked on the server."""


class Broker:
    """One connection, held for the life of the process; it reconnects for ever by itself."""

    def __init__(self, client: PatchedClient, on_fatal: Callable[[str], None]) -> None:
        self.nc = client
        self.signatures: Signatures | None = None
        """What is published is signed with it. None: nobody has said whether messages are."""
        self._on_fatal = on_fatal
        self._publisher = Publisher(client)
        self._reconnect_listeners: set[Callable[[], None]] = set()
        self._closing = False
        self._logged_reason = ""
        self._logged_at = 0.0
        self._on_refused: Callable[[str], None] = lambda _: None

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        on_fatal: Callable[[str], None],
        identity: Identity | None = None,
        on_refused: Callable[[str], None] | None = None,
        signatures: Signatures | None = None,
        mitigations: Mitigations | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Connect, waiting for the server as long as it takes.

        `url` may name several servers, comma-separated. `on_fatal` is called with a sentence when
        this connection can no longer serve: a permission is missing, or it was closed for good.
        `identity`: the user's files, read again at every reconnect; raises ConfigurationError when
        they are missing or malformed from the start. `on_refused` is told why a server does not
        let us in, at every attempt: it may learn our key later. `signatures`: how messages are
        signed and judged; who leaves it out can publish, unsigned, and consume nothing.
        `options` go to nats-py as they are.
        """
        known = identity or Identity(user=name)
        known.check()
        client = PatchedClient(mitigations or Mitigations(), known)
        broker = cls(client, on_fatal)
        broker.signatures = signatures
        if on_refused is not None:
            broker._on_refused = on_refused
        repaired = client.mitigations
        forever: dict[str, Any] = {
            "max_reconnect_attempts": -1,
            "reconnect_to_server_handler": _next_server,
        }
        await client.connect(
            [each.strip() for each in url.split(",")],
            name=name,
            error_cb=broker._failed,
            disconnected_cb=broker._disconnected,
            reconnected_cb=broker._reconnected,
            closed_cb=broker._closed,
            connect_timeout=CONNECT_SECONDS_MAX,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS_LOST_MAX,
            pending_size=UNSENT_BYTES_MAX,
            inbox_prefix=known.inbox_prefix,
            **{
                "reconnect_time_wait": CONNECT_PAUSE_SECONDS,
                **(forever if repaired.reconnect else {}),
                **(options or {}),
            },
        )
        await client.open_replies()
        return broker

    @property
    def connected(self) -> bool:
        return self.nc.is_connected

    def on_reconnect(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every reconnect; the returned function ends that."""
        self._reconnect_listeners.add(listener)
        return lambda: self._reconnect_listeners.discard(listener)

    async def publish(
        self,
        subject: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        expect_last_subject_sequence: int | None = None,
        ttl: timedelta | None = None,
        timeout: timedelta = PUBLISH_TIMEOUT,
        traced: bool = True,
    ) -> PubAck:
        """Store one message in its stream and wait until it is on the disk.

        Raises StreamFullError, WrongSequenceError or BrokerUnavailableError (not known whether it
        was stored: with a `Nats-Msg-Id` it may be sent again), all of them TransientError;
        PublishRefusedError and MessageTooLargeError when sending it again would not help.
        """
        sent = dict(headers or {})
        if self.signatures is not None:
            self.signatures.sign(subject, body, sent)
        if not traced:
            return await self._publisher.publish(
                subject,
                body,
                sent,
                expect_last_subject_sequence=expect_last_subject_sequence,
                ttl=ttl,
                timeout=timeout,
            )
        with messaging_spans.publishing(subject, sent) as span:
            ack = await self._publisher.publish(
                subject,
                body,
                sent,
                expect_last_subject_sequence=expect_last_subject_sequence,
                ttl=ttl,
                timeout=timeout,
            )
            span.set_attribute("messaging.nats.duplicate", ack.duplicate)
            return ack

    async def publish_all(self, messages: Sequence[OutgoingMessage]) -> list[bool]:
        """Store messages, one atomic batch per stream; True for each that is stored.

        A stream that is full or does not answer stops only its own. What is not stored may be
        sent again: its `Nats-Msg-Id` keeps it from being stored twice.
        """
        if not messages:
            return []
        if self.signatures is not None:
            messages = self.signatures.sign_all(messages)
        return await self._publisher.publish_all(messages)

    async def publish_ephemeral(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send over core NATS: at most once, dropped while disconnected."""
        if self.connected:
            await self._send([publish_frame(subject, body, headers)])

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        """Listen on core NATS; `stop()` the returned handle to end it."""
        subscription = Subscription(self.nc, subject, callback)
        await subscription.start(queue)
        return subscription

    def consume(
        self,
        stream: str,
        consumer: str,
        *,
        batch: int = BATCH_MAX,
        group: str = "",
        priority: int | None = None,
        idle_heartbeat: timedelta = IDLE_HEARTBEAT,
        stale_after: timedelta = STALE_AFTER,
    ) -> Pull:
        """Take the messages of a durable consumer, for as long as the process runs."""
        return Pull(
            self.nc,
            self.on_reconnect,
            stream,
            consumer,
            batch=batch,
            group=group,
            priority=priority,
            idle_heartbeat=idle_heartbeat,
            stale_after=stale_after,
        )

    async def ack_all(self, deliveries: Sequence[Settlement]) -> None:
        """Acknowledge many in one write."""
        for each in deliveries:
            each.settled = True
        await self._send([each.ack_frame for each in deliveries])

    def settle(self, ack_subject: str) -> Settlement:
        """Settle a delivery whose ack subject was stored, maybe by an earlier process."""
        return Settlement(self.nc, ack_subject)

    async def consumer_info(self, stream: str, consumer: str) -> ConsumerState:
        answer = await self.api(f"CONSUMER.INFO.{stream}.{consumer}")
        return msgspec.convert(answer, ConsumerState)

    async def api(
        self,
        verb: str,
        request: Mapping[str, Any] | None = None,
        *,
        timeout: timedelta = API_TIMEOUT,
    ) -> dict[str, Any]:
        """Ask JetStream something by its raw API. Raises ApiError when it refuses."""
        body = msgspec.json.encode(request) if request is not None else b""
        try:
            answer = await self.nc.ask(f"$JS.API.{verb}", body, timeout=timeout.total_seconds())
        except (TimeoutError, NatsError) as error:
            raise BrokerUnavailableError(f"no answer to {verb}") from error
        if answer.status == NO_RESPONDERS:
            raise BrokerUnavailableError("JetStream is not available")
        decoded: dict[str, Any] = msgspec.json.decode(answer.body)
        if refused := decoded.get("error"):
            if refused.get("code") == NO_RESPONDERS:
                raise BrokerUnavailableError(f"{verb}: {refused.get('description', '')}")
            raise ApiError(
                verb,
                refused.get("code", 0),
                refused.get("err_code", 0),
                refused.get("description", ""),
            )
        return decoded

    async def close(self, grace: timedelta = timedelta(seconds=2)) -> None:
        """Write what is still queued, acknowledgements above all, and disconnect."""
        self._closing = True
        if self.nc.is_closed:
            return
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self.nc.barrier()
        except TimeoutError:
            log.warning("closed_unflushed", grace_seconds=grace.total_seconds())
        await self.nc.close()

    async def _send(self, frames: Sequence[bytes]) -> None:
        try:
            await self.nc.send(frames)
        except NatsError as error:
            raise BrokerUnavailableError(f"not sent: {type(error).__name__}") from error

    async def _failed(self, error: Exception) -> None:
        if isinstance(error, UnexpectedEOF) or self._closing:
            return
        reason = str(error) or type(error).__name__
        if isinstance(error, NotAdmittedError):
            self._on_refused(reason)
        if any(late in reason.lower() for late in LATE_ANSWERS):
            log.warning("answer_too_late")
        elif PERMISSION in reason.lower() and self.nc.mitigations.permission:
            log.error("nats_permission_missing", reason=reason)
            self._on_fatal(reason)
        else:
            self._log_rarely(reason)

    def _log_rarely(self, reason: str) -> None:
        """Every attempt to reach a server that is away fails alike: one line tells it."""
        now = asyncio.get_running_loop().time()
        if reason != self._logged_reason or now - self._logged_at > SAME_REASON_SECONDS:
            self._logged_reason, self._logged_at = reason, now
            log.warning("nats_error", reason=reason)

    async def _disconnected(self) -> None:
        self.nc.disconnected()
        if not self._closing:
            log.warning("nats_disconnected")

    async def _reconnected(self) -> None:
        log.info("nats_reconnected")
        for listener in list(self._reconnect_listeners):
            listener()

    async def _closed(self) -> None:
        if not self._closing:
            reason = str(self.nc.last_error or "closed by the server")
            log.error("nats_closed", reason=reason)
            self._on_fatal(f"the NATS connection was closed: {reason}")


def _next_server(servers: list[Any], _info: dict[str, Any]) -> tuple[Any, float]:
    """Try the server that failed least, after a pause that doubles up to two seconds."""
    chosen = min(servers, key=lambda server: server.reconnects)
    wait = RECONNECT_FIRST_SECONDS * 2 ** min(chosen.reconnects, 10)
    return chosen, min(wait, RECONNECT_MAX_SECONDS)
