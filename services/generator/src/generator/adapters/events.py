"""Events told by the generator: published directly, under ids a repeat makes again."""

from __future__ import annotations

import asyncio

from chassis import logs
from chassis.broker import Broker
from chassis.clock import Clock
from chassis.errors import TransientError
from contracts.envelope import Event, Headers
from contracts.generator import JobProgress, progress_subject
from contracts.ids import OrderId, derived_id
from generator.domain.claims import Outcome

log = logs.get("generator.events")
RETRY_FIRST_SECONDS = 0.2
RETRY_MAX_SECONDS = 5.0


class BrokerEvents:
    """Implements `ports.Events`: there is no outbox, so a job is acked only after the PubAck."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock

    async def tell(self, order_id: OrderId, epoch: int, event: Event) -> None:
        await self._publish(order_id, epoch, event.subject, event.encode())

    async def tell_outcome(self, order_id: OrderId, outcome: Outcome) -> None:
        await self._publish(order_id, outcome.epoch, outcome.subject, outcome.body)

    async def progress(self, message: JobProgress) -> None:
        subject = progress_subject(message.user_id, message.order_id)
        try:
            await self._broker.publish_ephemeral(subject, message.encode())
        except TransientError as error:
            log.debug("progress_lost", reason=str(error))

    async def _publish(self, order_id: OrderId, epoch: int, subject: str, body: bytes) -> None:
        headers = Headers(
            id=derived_id(order_id, epoch, subject),
            sent_at=self._clock.now(),
            order_id=order_id,
        ).to_wire()
        wait = RETRY_FIRST_SECONDS
        while True:
            try:
                await self._broker.publish(subject, body, headers)
                return
            except TransientError as error:
                log.warning("event_waits", subject=subject, reason=type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RETRY_MAX_SECONDS)
