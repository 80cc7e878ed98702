"""The bucket `jobs`: one record per order, and one note per server of what it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec

from chassis import logs
from chassis.broker import Broker, Ephemeral
from chassis.errors import TransientError
from chassis.key_value import KeyExistsError, KeyValue, WrongRevisionError
from chassis.keys import encode_key
from chassis.signatures import decided
from contracts.ids import OrderId
from generator.domain.claims import JobRecord, job_key, slot_key
from generator.ports import RevisionConflictError, StoredRecord

log = logs.get("generator.claims")
BUCKET = "jobs"
_ENCODER = msgspec.msgpack.Encoder()
_RECORDS = msgspec.msgpack.Decoder(JobRecord)
_ORDERS = msgspec.msgpack.Decoder(tuple[OrderId, ...])


class KvClaims:
    """Implements `ports.Claims`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._signatures = decided(broker.signatures)
        # A record holds a job and its outcome: written by others it would be as good as a job.
        self._key_value = KeyValue(broker, BUCKET, signatures=self._signatures)

    async def read(self, order_id: OrderId) -> StoredRecord | None:
        entry = await self._key_value.get(job_key(order_id))
        if entry is None:
            return None
        try:
            record = _RECORDS.decode(entry.value)
        except msgspec.DecodeError as error:
            raise TransientError(f"record of {order_id} unreadable") from error
        return StoredRecord(record=record, revision=entry.revision)

    async def create(self, order_id: OrderId, record: JobRecord) -> int:
        try:
            return await self._key_value.create(job_key(order_id), _ENCODER.encode(record))
        except KeyExistsError as error:
            raise RevisionConflictError(str(order_id)) from error

    async def write(
        self, order_id: OrderId, record: JobRecord, revision: int, *, ttl: timedelta | None = None
    ) -> int:
        body = _ENCODER.encode(record)
        try:
            return await self._key_value.update(job_key(order_id), body, revision, ttl=ttl)
        except WrongRevisionError as error:
            raise RevisionConflictError(str(order_id)) from error

    async def note_held(self, server: str, orders: Sequence[OrderId]) -> None:
        await self._key_value.put(slot_key(server), _ENCODER.encode(tuple(orders)))

    async def held(self, server: str) -> tuple[OrderId, ...]:
        entry = await self._key_value.get(slot_key(server))
        return () if entry is None else _ORDERS.decode(entry.value)

    async def watch(
        self, order_id: OrderId, on_change: Callable[[JobRecord], None]
    ) -> Callable[[], Awaitable[None]]:
        """Listen to the writes themselves: no consumer per job on the server.

        A write missed while disconnected is found by the next renewal's compare-and-set.
        """

        async def heard(message: Ephemeral) -> None:
            judged = self._signatures.judge(message.subject, message.headers, message.body)
            if judged.refusal is not None:
                return
            try:
                on_change(_RECORDS.decode(message.body))
            except msgspec.DecodeError:
                log.warning("record_unreadable", order_id=str(order_id))

        subject = f"$KV.{BUCKET}.{encode_key(job_key(order_id))}"
        subscription = await self._broker.subscribe(subject, heard)
        return subscription.stop
