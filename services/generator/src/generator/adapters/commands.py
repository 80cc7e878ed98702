"""Commands of the generator's own stream. It has no database, so its handlers repeat safely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, tracing
from chassis.broker import Broker, Delivery, Pull
from chassis.clock import Clock
from chassis.errors import TransientError
from contracts.envelope import HEADER_ID, HEADER_TRACE, Command, Headers
from contracts.ids import derived_id, uuid7_time
from contracts.topology import UNKNOWN_MESSAGE_PATIENCE
from generator.adapters.refused import (
    DEAD_SUBJECT,
    REASON_HEADER,
    SUBJECT_HEADER,
    RefusedMessages,
)

log = logs.get("generator.commands")
UNKNOWN_DELAY = timedelta(seconds=30)
RETRY_DELAY = timedelta(seconds=1)
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class CommandRoute:
    message: type[Command]
    handler: Callable[[Command], Awaitable[None]]


class CommandLoop:
    """Runs the commands of one durable consumer; a batch's commands run side by side."""

    def __init__(
        self,
        broker: Broker,
        stream: str,
        consumer: str,
        routes: Mapping[str, CommandRoute],
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._routes = routes
        self._clock = clock
        self._refused = RefusedMessages(broker)
        self._pull: Pull = broker.consume(stream, consumer, batch=BATCH)

    async def run(self) -> None:
        async for batch in self._pull:
            await asyncio.gather(*(self._take(delivery) for delivery in batch))

    async def stop(self) -> None:
        await self._pull.stop()

    async def _take(self, delivery: Delivery) -> None:
        if await self._refused.take(delivery):
            return
        route = self._routes.get(delivery.subject)
        try:
            if route is None:
                await self._on_unknown(delivery, "unknown subject")
                return
            command = route.message.decode(delivery.body)
        except msgspec.DecodeError:
            await self._on_unknown(delivery, "undecodable")
            return
        try:
            with tracing.span(
                f"process {delivery.subject}",
                traceparent=delivery.headers.get(HEADER_TRACE, ""),
                kind=SpanKind.CONSUMER,
            ):
                await route.handler(command)
            await delivery.ack()
        except TransientError as error:
            log.warning("command_retried", subject=delivery.subject, reason=str(error))
            await self._hand_back(delivery, RETRY_DELAY)

    async def _on_unknown(self, delivery: Delivery, reason: str) -> None:
        """A rolling upgrade may bring who knows it; after an hour it goes among the dead."""
        try:
            message_id = Headers.from_wire(delivery.headers).id
            age = self._clock.now() - uuid7_time(message_id)
        except ValueError:
            message_id, age = None, UNKNOWN_MESSAGE_PATIENCE
        if age < UNKNOWN_MESSAGE_PATIENCE:
            await self._hand_back(delivery, UNKNOWN_DELAY)
            return
        headers = {REASON_HEADER: reason, SUBJECT_HEADER: delivery.subject}
        if message_id is not None:
            headers[HEADER_ID] = str(derived_id(message_id, "parked"))
        log.error("command_parked", subject=delivery.subject, reason=reason)
        try:
            await self._broker.publish(DEAD_SUBJECT, delivery.body, headers)
            await delivery.term(reason)
        except TransientError as error:
            log.warning("parking_waits_for_redelivery", reason=str(error))

    async def _hand_back(self, delivery: Delivery, delay: timedelta) -> None:
        try:
            await delivery.nak(delay)
        except TransientError as error:
            log.debug("nak_lost", reason=str(error))
