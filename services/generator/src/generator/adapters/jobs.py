"""The JOBS stream: one claimed job at a time, and the acknowledgements that settle it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from chassis import logs
from chassis.broker import Broker, BrokerUnavailableError, Delivery
from chassis.clock import new_id
from chassis.errors import TransientError
from chassis.puller import TieredPuller
from contracts.envelope import HEADER_ID, HEADER_ORDER, HEADER_SENT_AT, HEADER_TRACE
from contracts.generator import RunJob
from contracts.ids import OrderId
from generator.domain.tiers import Wish
from generator.ports import Arrival

log = logs.get("generator.jobs")
STREAM = "JOBS"
DEAD_SUBJECT = "dead.generator"
ACK_TRIES = 3
REASON_HEADER = "Vitrine-Reason"
SUBJECT_HEADER = "Vitrine-Subject"


class JobStream:
    """Implements `ports.Jobs`."""

    def __init__(self, broker: Broker) -> None:
        self._puller = TieredPuller(broker, STREAM)

    async def next(self, wish: Wish) -> Arrival | None:
        delivery = await self._puller.next(wish.tiers, wish.priority)
        return arrival_of(delivery) if delivery is not None else None

    async def release(self) -> None:
        self._puller.release()


def arrival_of(delivery: Delivery) -> Arrival:
    _, pool, lane = delivery.subject.split(".", 2)
    return Arrival(
        order_id=_order_id(delivery),
        body=delivery.body,
        pool=pool,
        lane=lane,
        ack_subject=delivery.ack_subject,
        traceparent=delivery.headers.get(HEADER_TRACE, ""),
        deliveries=delivery.deliveries,
        sent_at=_sent_at(delivery),
    )


def _sent_at(delivery: Delivery) -> datetime | None:
    try:
        return datetime.fromisoformat(delivery.headers.get(HEADER_SENT_AT, ""))
    except ValueError:
        return None


def _order_id(delivery: Delivery) -> OrderId | None:
    """The header names the order even where the body cannot be read."""
    try:
        return OrderId(UUID(delivery.headers.get(HEADER_ORDER, "")))
    except ValueError:
        log.warning("job_without_order_header")
    try:
        return RunJob.decode(delivery.body).order_id
    except msgspec.DecodeError:
        return None


class JobSettlement:
    """Implements `ports.Settlement`. A lost ack is a redelivery, which the record answers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def ack(self, ack_subject: str) -> None:
        settlement = self._broker.settle(ack_subject)
        for _ in range(ACK_TRIES):
            try:
                await settlement.ack_sync()
            except BrokerUnavailableError as error:
                log.warning("ack_retried", reason=str(error))
            else:
                return

    async def hand_back(self, ack_subject: str, delay: timedelta) -> None:
        try:
            await self._broker.settle(ack_subject).nak(delay)
        except BrokerUnavailableError as error:
            log.warning("nak_lost", reason=str(error))

    async def in_progress(self, ack_subject: str) -> None:
        self._broker.settle(ack_subject).in_progress_soon()

    async def park(self, arrival: Arrival, reason: str) -> None:
        """The notice is stored before the job is taken out of its stream."""
        headers = {
            HEADER_ID: str(new_id()),
            REASON_HEADER: reason,
            SUBJECT_HEADER: f"jobs.{arrival.pool}.{arrival.lane}",
        }
        log.error("job_parked", reason=reason)
        try:
            await self._broker.publish(DEAD_SUBJECT, arrival.body, headers)
            await self._broker.settle(arrival.ack_subject).term(reason)
        except TransientError as error:
            log.warning("parking_waits_for_redelivery", reason=str(error))
