"""Before a message is looked into: who sent it is proven, or nobody ever handles it."""

from __future__ import annotations

from datetime import timedelta

from chassis import logs, parked
from chassis.database import RETRYABLE
from chassis.deliveries import Delivery
from chassis.errors import TransientError
from chassis.outbox import Outbox
from chassis.signatures import decided

log = logs.get("chassis.gate")
POSTPONED = timedelta(seconds=30)


class Gate:
    """Judges what a service with a database is delivered, and keeps what it refuses."""

    def __init__(self, service: str, outbox: Outbox) -> None:
        self._service = service
        self._outbox = outbox
        self._signatures = decided(outbox.broker.signatures)

    async def producer_of(self, delivery: Delivery) -> str | None:
        """Return who sent it (empty: signatures are not required); None: it was dealt with here."""
        judged = self._signatures.judge(delivery.subject, delivery.headers, delivery.body)
        refusal = judged.refusal
        if refusal is None:
            return judged.producer
        try:
            if refusal.later and delivery.deliveries <= self._signatures.key_waits_max:
                await delivery.nak(self._signatures.key_wait)
            else:
                await self.park(delivery, refusal.reason)
        except TransientError as error:
            log.info("not_settled", reason=type(error).__name__)  # ack_wait brings it back
        return None

    async def park(self, delivery: Delivery, reason: str) -> None:
        """Park a message and acknowledge it; while that is not possible, it comes again."""
        try:
            async with self._outbox.begin() as uow:
                await parked.park(uow, delivery, reason=reason, service=self._service)
        except Exception as error:
            transient = isinstance(error, (TransientError, *RETRYABLE))
            write = log.warning if transient else log.error
            write("parking_postponed", subject=delivery.subject, reason=type(error).__name__)
            await delivery.nak(POSTPONED)
            return
        await delivery.ack()
