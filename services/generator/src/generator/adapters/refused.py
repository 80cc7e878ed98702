"""Jobs and commands nobody vouches for: never run, kept on the dead subject."""

from __future__ import annotations

from chassis import logs
from chassis.broker import Broker, Delivery
from chassis.errors import TransientError
from chassis.parked import id_of_place
from chassis.signatures import decided
from contracts.envelope import HEADER_ID, HEADER_SIGNATURE

log = logs.get("generator.refused")
DEAD_SUBJECT = "dead.generator"
REASON_HEADER = "Vitrine-Reason"
SUBJECT_HEADER = "Vitrine-Subject"
CLAIMED_HEADER = "Vitrine-Claimed"
"""The signature a refused message came with."""


class RefusedMessages:
    """The generator has no database: what it refuses is stored in DEAD before it is taken away."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._signatures = decided(broker.signatures)

    async def take(self, delivery: Delivery) -> bool:
        """Whether a delivery was refused, and so dealt with here."""
        refusal = self._signatures.judge(delivery.subject, delivery.headers, delivery.body).refusal
        if refusal is None:
            return False
        try:
            if refusal.later and delivery.deliveries <= self._signatures.key_waits_max:
                await delivery.nak(self._signatures.key_wait)
            else:
                await self._park(delivery, refusal.reason)
        except TransientError as error:
            log.warning("parking_waits_for_redelivery", reason=str(error))
        return True

    async def _park(self, delivery: Delivery, reason: str) -> None:
        headers = {
            HEADER_ID: str(id_of_place(delivery)),
            REASON_HEADER: reason,
            SUBJECT_HEADER: delivery.subject,
            CLAIMED_HEADER: delivery.headers.get(HEADER_SIGNATURE, ""),
        }
        log.error("message_refused", subject=delivery.subject, reason=reason)
        await self._broker.publish(DEAD_SUBJECT, delivery.body, headers)
        await delivery.term(reason)
