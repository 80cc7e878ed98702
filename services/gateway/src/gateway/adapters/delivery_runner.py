"""Sends delivery rows of the shards held here: one at a time per person, tried until settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, tracing
from chassis.background import Background
from chassis.broker import Broker, Ephemeral, Subscription
from chassis.errors import TransientError
from chassis.objects import ObjectDamagedError, ObjectMissingError
from chassis.outbox import Outbox
from chassis.tracing import Attributes
from contracts import errors
from contracts.ids import OrderId, UserId
from gateway.adapters.budget import WouldWaitError
from gateway.adapters.claimed_rows import ClaimedRows
from gateway.adapters.deliveries import FAILED, SENT, Body, emit_recorded
from gateway.adapters.sender import Sender, Sent
from gateway.adapters.telegram import BlockedError, GoneError, RejectedError
from gateway.ports import DELETE, EDIT, RESULT

log = logs.get("gateway.deliveries")
CONCURRENT_MAX = 16
BUDGET_WAIT_MAX = timedelta(seconds=1)
"""Deliveries reserve little of the budget ahead, so that answers to taps keep overtaking them."""
RETRY_FIRST = timedelta(seconds=1)
RETRY_MAX = timedelta(seconds=60)
WAKE_SUBJECT = "gateway.wake.{shard}"

settled_count = metrics.counter("gateway.deliveries.settled", description="by kind and outcome")
wait_seconds = metrics.histogram("gateway.deliveries.wait_seconds")

_CLAIM = """
    WITH due AS (
        SELECT d.id FROM deliveries d
        WHERE d.state = 'intent' AND d.shard = ANY($1) AND d.due_at <= $2
          -- A lease of our own on a row nobody here is sending: its end could not be recorded.
          AND (d.leased_by IS NULL OR d.leased_by = $3 AND d.id <> ALL($5))
          AND NOT EXISTS (
              SELECT FROM deliveries e
              WHERE e.user_id = d.user_id AND e.state = 'intent' AND e.id < d.id
          )
        ORDER BY d.id LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE deliveries d SET leased_by = $3, attempts = d.attempts + 1
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.user_id, d.shard, d.kind, d.order_id, d.key, d.final, d.body, d.attempts,
              d.traceparent, d.created_at
"""


class Row(msgspec.Struct, frozen=True):
    """A claimed delivery."""

    id: UUID
    user_id: UserId
    shard: int
    kind: str
    order_id: OrderId | None
    key: str
    final: bool
    body: Body
    attempts: int
    traceparent: str
    created_at: datetime


class DeliveryRunner:
    """Intent → sent or failed. A crash between sending and recording sends it twice, never not."""

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        sender: Sender,
        background: Background,
        *,
        replica: UUID,
        held: Callable[[], frozenset[int]],
        result_patience: timedelta,
        notice_patience: timedelta,
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._sender = sender
        self._background = background
        self._replica = replica
        self._held = held
        self._rows: ClaimedRows[Row] = ClaimedRows(
            background,
            name="delivery",
            concurrent_max=CONCURRENT_MAX,
            held=held,
            claim=self._claim,
            work=self._deliver,
            give_up=self._give_up,
        )
        self._result_patience = result_patience
        self._notice_patience = notice_patience
        self._listening: dict[int, Subscription] = {}

    def wake(self, shard: int) -> None:
        """Rows of a shard were committed here; if another replica holds it, tell that one."""
        if shard in self._held():
            self._rows.wake()
        else:
            self._background.spawn(self._tell(shard), name="delivery-wake")

    def look(self) -> None:
        """Look for rows now: shards came to be held here."""
        self._rows.wake()

    async def _tell(self, shard: int) -> None:
        try:
            await self._broker.publish_ephemeral(WAKE_SUBJECT.format(shard=shard), b"")
        except TransientError as error:
            log.info("wake_lost", reason=type(error).__name__)

    async def _told(self, _message: Ephemeral) -> None:
        """Another replica committed rows of a shard held here."""
        self._rows.wake()

    async def take_over(self, shards: frozenset[int]) -> None:
        """Free what the former holder of these shards was sending: it is not sending any more."""
        for shard in shards - self._listening.keys():
            subject = WAKE_SUBJECT.format(shard=shard)
            self._listening[shard] = await self._broker.subscribe(subject, self._told)
        async with self._outbox.database.read() as connection:
            await connection.execute(
                "UPDATE deliveries SET leased_by = NULL "
                "WHERE shard = ANY($1) AND state = 'intent' AND leased_by <> $2",
                list(shards),
                self._replica,
            )

    async def let_go(self, shards: frozenset[int]) -> None:
        """Finish what is being sent there; `held` no longer names these shards' rows to others."""
        for shard in shards & self._listening.keys():
            await self._listening.pop(shard).stop()
        await self._rows.let_go(shards)

    async def run(self) -> None:
        await self._rows.run()

    async def stop(self) -> None:
        await self._rows.stop()

    async def _claim(self, shards: list[int], free: int, under_way: list[UUID]) -> list[Row]:
        async with self._outbox.database.read() as connection:
            rows = await connection.fetch(
                _CLAIM, shards, self._outbox.clock.now(), self._replica, free, under_way
            )
        return [
            Row(**{**dict(row), "body": msgspec.convert(row["body"], Body)})
            for row in sorted(rows, key=lambda row: row["id"])
        ]

    async def _deliver(self, row: Row) -> None:
        attributes: Attributes = {"gateway.kind": row.kind, "gateway.attempt": row.attempts}
        with tracing.span(
            f"deliver {row.kind}",
            traceparent=row.traceparent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        ):
            await self._try(row)

    async def _give_up(self, row: Row) -> None:
        await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_REJECTED)

    async def _try(self, row: Row) -> None:
        try:
            sent = await self._send(row)
        except WouldWaitError as error:
            await self._again(row, error.retry_after or RETRY_FIRST, counted=False)
        except TransientError as error:
            await self._later(row, error)
        except BlockedError:
            await self._sender.chats.blocked(row.user_id)
            await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_BLOCKED)
        except (ObjectMissingError, ObjectDamagedError) as error:
            log.exception("result_lost", order_id=str(row.order_id), reason=type(error).__name__)
            await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_LOST)
        except GoneError:
            await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_REJECTED)
        except RejectedError as error:
            log.exception("delivery_rejected", kind=row.kind, reason=error.description)
            await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_REJECTED)
        else:
            await self._settle(row, SENT, message_id=sent.message_id)

    async def _send(self, row: Row) -> Sent:
        screen, wait = row.body.screen, BUDGET_WAIT_MAX
        async with self._sender.chats.line(row.user_id):
            if row.kind == DELETE or screen is None:
                await self._sender.delete(row.user_id, row.body.message_id)
                return Sent(row.body.message_id)
            if row.kind == EDIT and row.body.message_id:
                message_id = row.body.message_id
                await self._sender.edit(row.user_id, message_id, screen, wait_max=wait)
                return Sent(message_id)
            if row.kind == EDIT:
                return await self._sender.edit_keyed(
                    row.user_id, row.key, screen, final=row.final, wait_max=wait
                )
            return await self._sender.send(row.user_id, screen, key=row.key, wait_max=wait)

    async def _later(self, row: Row, error: TransientError) -> None:
        """Try again with backoff, as long as the message still makes sense."""
        patience = self._result_patience if row.kind == RESULT else self._notice_patience
        if self._outbox.clock.now() - row.created_at > patience:
            log.error("delivery_given_up", kind=row.kind, reason=type(error).__name__)
            await self._settle(row, FAILED, reason=errors.UNDELIVERABLE_REJECTED)
            return
        wait = min(RETRY_FIRST * 2 ** min(row.attempts - 1, 10), RETRY_MAX)
        log.info("delivery_postponed", kind=row.kind, reason=type(error).__name__)
        await self._again(row, max(wait, error.retry_after or wait), counted=True)

    async def _again(self, row: Row, wait: timedelta, *, counted: bool) -> None:
        async with self._outbox.database.read() as connection:
            await connection.execute(
                "UPDATE deliveries SET leased_by = NULL, due_at = $2, attempts = $3 "
                "WHERE id = $1 AND state = 'intent' AND leased_by = $4",
                row.id,
                self._outbox.clock.now() + wait,
                row.attempts if counted else row.attempts - 1,
                self._replica,
            )
        asyncio.get_running_loop().call_later(wait.total_seconds(), self._rows.wake)

    async def _settle(self, row: Row, state: str, *, message_id: int = 0, reason: str = "") -> None:
        """Record the end; while another replica has the row, only that it was sent is true."""
        async with self._outbox.begin() as uow:
            settled = await uow.connection.fetchval(
                "UPDATE deliveries SET state = $2, message_id = $3, reason = $4, settled_at = $5, "
                "leased_by = NULL WHERE id = $1 AND state = 'intent' "
                "AND (leased_by = $6 OR $2 = 'sent') RETURNING id",
                row.id,
                state,
                message_id or None,
                reason,
                uow.now,
                self._replica,
            )
            if settled is None:
                log.info("delivery_is_anothers", kind=row.kind, outcome=state)
                return
            if row.kind == RESULT and row.order_id is not None:
                await emit_recorded(uow, row.order_id, row.user_id)
        settled_count.add(1, {"kind": row.kind, "outcome": state})
        wait_seconds.record((uow.now - row.created_at).total_seconds(), {"kind": row.kind})
