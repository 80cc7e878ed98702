"""The exactly-once consumer: fetch, one transaction per batch, commit, ack, publish."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec
from opentelemetry.trace import Span, SpanKind

from chassis import grouping, inbox, logs, metrics, parked, tracing
from chassis.broker import Delivery, Pull
from chassis.database import (
    RETRYABLE,
    Connection,
    DatabaseUnavailableError,
    RightMissingError,
)
from chassis.errors import TransientError
from chassis.gate import Gate
from chassis.outbox import Outbox, UnitOfWork
from contracts import topology
from contracts.envelope import Headers, LockKey, Message
from contracts.errors import RefusalError
from contracts.ids import uuid7_time

log = logs.get("chassis.consumers")
M = TypeVar("M", bound=Message)
NAK_FIRST = timedelta(milliseconds=200)
NAK_MAX = timedelta(seconds=30)
UNKNOWN_NAK = timedelta(seconds=30)
UNAVAILABLE_PAUSE_SECONDS = 0.5
"""While Postgres is away the next fetch would fail as well; do not spin."""

handled_count = metrics.counter("vitrine.messages.handled", description="by subject and outcome")
redelivered_count = metrics.counter("vitrine.messages.redelivered")


class Received(Generic[M]):
    """A decoded message with what travelled beside it."""

    __slots__ = (
        *("deliveries", "delivery", "headers", "message", "producer", "span"),
        *("subject", "traceparent"),
    )

    def __init__(self, message: M, headers: Headers, subject: str, deliveries: int) -> None:
        self.message = message
        self.headers = headers
        self.subject = subject
        self.deliveries = deliveries
        self.traceparent = headers.traceparent
        """Pass it to `UnitOfWork.emit(traceparent=...)` from a batch handler."""
        self.producer = ""
        """Who is proven to have sent it; empty: signatures are not required."""
        self.delivery: Delivery | None = None
        self.span: Span | None = None


Handler = Callable[[Any, UnitOfWork], Awaitable[None]]
BatchHandler = Callable[[Sequence[Received[Any]], UnitOfWork], Awaitable[None]]
Refusal = Callable[[Any, RefusalError], Message]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted message and the one handler it goes to.

    `batch`: the handler takes all fresh messages of the batch at once and emits refusals itself.
    Routes with one and the same batch handler share its batches: where people's messages of
    several kinds alternate, each kind apart would be a batch of its own at every change.
    `on_refusal`: makes the event that is recorded when the handler raises RefusalError.
    """

    message: type[Message]
    handler: Handler | BatchHandler
    batch: bool = False
    on_refusal: Refusal | None = None


Lock = Callable[[Connection, Sequence[LockKey]], Awaitable[None]]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer and what is done with its messages: a line of a service's contents."""

    stream: str
    consumer: str
    routes: tuple[Route, ...]
    lock: Lock | None = None
    batch_max: int = topology.BATCH_MAX
    ack_wait: timedelta = topology.ACK_WAIT_COMMANDS
    starts_max: int = topology.STARTS_MAX


class ExactlyOnce:
    """Runs one subscription. Every message takes effect once or is parked; none is dropped."""

    def __init__(self, service: str, outbox: Outbox, subscription: Subscription) -> None:
        self._outbox = outbox
        self._gate = Gate(service, outbox)
        self._subscription = subscription
        self._routes = {route.message.subject: route for route in subscription.routes}
        self._kinds: dict[str, Hashable] = {
            subject: route.handler if route.batch else subject
            for subject, route in self._routes.items()
        }
        for route in subscription.routes:
            # A batch handler sees every fresh message; only single ones are judged by version.
            assert not (route.batch and route.message.carries_state), route.message.subject
        self._pull: Pull | None = None

    async def run(self) -> None:
        """Handle messages until `stop`; what was fetched but not handled is handed back."""
        subscription = self._subscription
        pull = self._outbox.broker.consume(
            subscription.stream, subscription.consumer, batch=subscription.batch_max
        )
        self._pull = pull
        try:
            while deliveries := await pull.next(subscription.batch_max):
                async with self._kept_alive(deliveries):
                    await self._take(deliveries)
        finally:
            await pull.stop()  # or the next run's messages would go to this one's inbox

    async def stop(self) -> None:
        if self._pull is not None:
            await self._pull.stop()

    @asynccontextmanager
    async def _kept_alive(self, deliveries: Sequence[Delivery]) -> AsyncIterator[None]:
        """Say `in progress` every third of ack_wait while the handlers are at work."""
        loop = asyncio.get_running_loop()
        period = self._subscription.ack_wait.total_seconds() / 3
        timer: asyncio.TimerHandle | None = None

        def beat() -> None:
            nonlocal timer
            for delivery in deliveries:
                delivery.in_progress_soon()
            timer = loop.call_later(period, beat)

        timer = loop.call_later(period, beat)
        try:
            yield
        finally:
            timer.cancel()

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        together: list[Received[Any]] = []
        for delivery in deliveries:
            producer = await self._gate.producer_of(delivery)
            if producer is None:
                continue
            received = self._decode(delivery, producer)
            if received is None:
                await self._hand_back_unknown(delivery)
            elif delivery.deliveries >= topology.STARTS_BEFORE_ALONE:
                redelivered_count.add(1, {"subject": received.message.subject})
                await self._run_alone(received)
            else:
                together.append(received)
        if not together:
            return
        try:
            await self._run(together)
        except DatabaseUnavailableError as error:
            for received in together:
                await self._failed(received, error)
            await asyncio.sleep(UNAVAILABLE_PAUSE_SECONDS)
        except Exception as error:
            if len(together) == 1:
                await self._failed(together[0], error)
                return
            log.warning("batch_falls_back", size=len(together), reason=type(error).__name__)
            for received in together:
                await self._run_one(received)

    def _decode(self, delivery: Delivery, producer: str) -> Received[Any] | None:
        route = self._routes.get(delivery.subject)
        if route is None:
            return None
        try:
            headers = Headers.from_wire(delivery.headers)
            uuid7_time(headers.id)
            message = route.message.decode(delivery.body)
        except (ValueError, msgspec.DecodeError, RecursionError):
            return None
        received = Received(message, headers, delivery.subject, delivery.deliveries)
        received.delivery = delivery
        received.producer = producer
        return received

    async def _run_one(self, received: Received[Any]) -> Exception | None:
        try:
            await self._run([received])
        except Exception as error:
            await self._failed(received, error)
            return error
        return None

    async def _run_alone(self, received: Received[Any]) -> None:
        """Commit the start first: a body that kills the process cannot loop for ever."""
        try:
            async with self._outbox.database.read() as connection:
                starts = await inbox.count_start(
                    connection, received.headers.id, self._outbox.clock.now()
                )
        except Exception as error:
            await self._failed(received, error)
            return
        if starts > self._subscription.starts_max:
            await self._park(received.delivery, "started too often without an end")
            return
        if isinstance(await self._run_one(received), RightMissingError):
            await self._not_its_fault(received)

    async def _not_its_fault(self, received: Received[Any]) -> None:
        """Take the start back: a right that is missing must not park what people paid for."""
        try:
            async with self._outbox.database.read() as connection:
                await inbox.uncount_start(connection, received.headers.id)
        except (TransientError, *RETRYABLE) as error:
            log.warning("start_stays_counted", reason=type(error).__name__)

    async def _run(self, batch: Sequence[Received[Any]]) -> None:
        """One transaction: locks, inbox, handlers in delivery order, outbox; then the acks."""
        now = self._outbox.clock.now()
        possible: list[Received[Any]] = []
        for each in batch:
            if self._outbox.partitions.holds(inbox.day_of(each.headers.id).date(), now):
                possible.append(each)
            else:
                await self._park(each.delivery, "its id is outside the inbox horizon")
        if not possible:
            return
        self._start_spans(possible)
        try:
            async with self._outbox.begin() as uow:
                await self._lock(uow.connection, possible)
                ids = list({each.headers.id for each in possible})
                fresh = await inbox.record(uow.connection, ids)
                await self._handle(grouping.first_of_each(possible, fresh), uow)
        finally:
            self._end_spans(possible)
        await self._outbox.broker.ack_all([each.delivery for each in possible if each.delivery])

    async def _lock(self, connection: Connection, batch: Sequence[Received[Any]]) -> None:
        if self._subscription.lock is not None:
            keys = {key for each in batch for key in each.message.lock_keys()}
            await self._subscription.lock(connection, sorted(keys))

    async def _handle(self, batch: Sequence[Received[Any]], uow: UnitOfWork) -> None:
        for messages in grouping.together(batch, self._kinds):
            route = self._routes[messages[0].message.subject]
            if route.batch:
                handler: Any = route.handler
                uow.message_id = None
                await handler(messages, uow)
                for subject, handled in Counter(each.message.subject for each in messages).items():
                    handled_count.add(handled, {"subject": subject, "outcome": "handled"})
            else:
                for each in messages:
                    await self._handle_one(route, each, uow)

    async def _handle_one(self, route: Route, each: Received[Any], uow: UnitOfWork) -> None:
        handler: Any = route.handler
        mark = uow.mark()
        uow.traceparent, uow.message_id = each.traceparent, each.headers.id
        outcome = "handled"
        try:
            async with uow.connection.transaction():
                if await self._is_current(each, uow):
                    await handler(each.message, uow)
                else:
                    outcome = "outdated"
        except RefusalError as refusal:
            uow.rewind(mark)
            outcome = "refused"
            log.info("refused", subject=route.message.subject, code=refusal.code)
            if route.on_refusal is not None:
                uow.emit(route.on_refusal(each.message, refusal), order_id=each.headers.order_id)
        handled_count.add(1, {"subject": route.message.subject, "outcome": outcome})

    async def _is_current(self, each: Received[Any], uow: UnitOfWork) -> bool:
        if not each.message.carries_state:
            return True
        return await inbox.is_newer(
            uow.connection,
            aggregate=each.headers.aggregate,
            version=each.headers.version,
            now=uow.now,
        )

    def _start_spans(self, batch: Sequence[Received[Any]]) -> None:
        for each in batch:
            if not each.headers.traceparent:
                continue
            subject = each.message.subject
            attributes: dict[str, str | int | float | bool] = {
                "messaging.system": "nats",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.template": subject,
                "messaging.consumer.group.name": self._subscription.consumer,
                "messaging.message.id": str(each.headers.id),
                "messaging.nats.delivery_count": each.deliveries,
            }
            if each.headers.order_id is not None:
                attributes["vitrine.order_id"] = str(each.headers.order_id)
            each.span = tracing.start(
                f"process {subject}",
                traceparent=each.headers.traceparent,
                link=each.headers.traceparent,
                kind=SpanKind.CONSUMER,
                attributes=attributes,
            )
            each.traceparent = tracing.inject(each.span) or each.headers.traceparent

    def _end_spans(self, batch: Sequence[Received[Any]]) -> None:
        for each in batch:
            if each.span is not None:
                each.span.end()
                each.span = None

    async def _failed(self, received: Received[Any], error: Exception) -> None:
        """Hand back with backoff; the parking decision is `_run_alone`'s, by committed starts."""
        delivery = received.delivery
        assert delivery is not None
        transient = isinstance(error, (TransientError, *RETRYABLE))
        wait = min(NAK_FIRST * 2 ** min(delivery.deliveries, 16), NAK_MAX)
        if isinstance(error, TransientError) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        write = log.warning if transient else log.error
        write(
            "message_handed_back",
            subject=received.message.subject,
            message_id=str(received.headers.id),
            deliveries=delivery.deliveries,
            reason=type(error).__name__,
            wait_seconds=wait.total_seconds(),
            exc_info=None if transient else error,
        )
        await delivery.nak(wait)

    async def _hand_back_unknown(self, delivery: Delivery) -> None:
        """A rolling upgrade may bring who knows it; after an hour it is parked, never dropped."""
        first_seen = parked.made_at(delivery.headers)
        age = self._outbox.clock.now() - first_seen if first_seen else None
        if age is not None and abs(age) < topology.UNKNOWN_MESSAGE_PATIENCE:
            seconds = age.total_seconds()
            log.warning("unknown_message", subject=delivery.subject, age_seconds=seconds)
            await delivery.nak(UNKNOWN_NAK)
            return
        await self._park(delivery, "undecodable or unknown")

    async def _park(self, delivery: Delivery | None, reason: str) -> None:
        assert delivery is not None
        await self._gate.park(delivery, reason)

    def accepts(self, subject: str) -> bool:
        return subject in self._routes

    async def redrive(self, uow: UnitOfWork, row: parked.ParkedRow) -> None:
        """Handle a parked message under its original id, inside the caller's transaction.

        Its inbox row exists since it was parked, so nothing else can handle it meanwhile.
        """
        route = self._routes[row.subject]
        headers = Headers.from_wire(row.headers)
        received = Received(route.message.decode(row.body), headers, row.subject, 1)
        await self._lock(uow.connection, [received])
        await self._handle([received], uow)
