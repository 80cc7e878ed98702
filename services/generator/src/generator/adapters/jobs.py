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
from generator.adapters.refused import (
    DEAD_SUBJECT,
    REASON_HEADER,
    SUBJECT_HEADER,
    RefusedMessages,
)
from generator.domain.tiers import Wish
from generator.ports import Arrival

log = logs.get("generator.jobs")
STREAM = "JOBS"
ACK_TRIES = 3


class JobStream:
    """Implements `ports.Jobs`."""

    def __init__(self, broker: Broker) -> None:
        self._puller = TieredPuller(broker, STREAM)
        self._refused = RefusedMessages(broker)

    async def next(self, wish: Wish) -> Arrival | None:
        """Return a job that billing is proven to have sent; any other is put aside here."""
        delivery = await self._puller.next(wish.tiers, wish.priority)
        if delivery is None or await self._refused.take(delivery):
            return None
        return arrival_of(delivery)

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
