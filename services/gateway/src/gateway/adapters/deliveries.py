"""Records messages that events cause, as rows beside the events' own changes."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec

from chassis import tracing
from chassis.clock import IdFactory
from chassis.outbox import UnitOfWork
from contracts.gateway import DeliveryRecorded
from contracts.generator import shard_of
from contracts.ids import OrderId, UserId
from gateway.ports import DELETE, EDIT, RESULT, SEND, Answer, Screen

SENT = "sent"
FAILED = "failed"
SUPERSEDED = "superseded"


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a message to send."""

    screen: Screen | None = None
    message_id: int = 0


class PostgresDeliveries:
    """Implements ports.Deliveries."""

    def __init__(self, new_id: IdFactory, wake: Callable[[int], None]) -> None:
        self._new_id = new_id
        self._wake = wake
        self._wakes: dict[int, Callable[[], None]] = {}

    async def queue(
        self,
        uow: UnitOfWork,
        *,
        user_id: UserId,
        screen: Screen,
        kind: str = SEND,
        order_id: OrderId | None = None,
        key: str = "",
        final: bool = False,
        part: int = 0,
    ) -> bool:
        if kind == EDIT:
            await self._supersede(uow, user_id, key)
        added = await self._insert(
            uow,
            user_id=user_id,
            kind=kind,
            body=Body(screen),
            order_id=order_id,
            key=key,
            final=final,
            part=part,
        )
        if not added and order_id is not None:
            await emit_recorded(uow, order_id, user_id)
        return added

    async def postpone(
        self,
        uow: UnitOfWork,
        *,
        chat_id: int,
        answer: Answer,
        id: UUID,  # noqa: A002 - the column
    ) -> None:
        """Keep an answer that could not be sent in time; `id` is the same for the same answer."""
        await self._insert(
            uow,
            user_id=UserId(chat_id),
            kind=answer.kind if answer.kind in (EDIT, DELETE) else SEND,
            body=Body(answer.screen, answer.message_id),
            key=answer.key,
            final=answer.final,
            id=id,
        )

    async def _insert(
        self,
        uow: UnitOfWork,
        *,
        user_id: UserId,
        kind: str,
        body: Body,
        order_id: OrderId | None = None,
        key: str = "",
        final: bool = False,
        part: int = 0,
        id: UUID | None = None,  # noqa: A002 - the column
    ) -> bool:
        shard = shard_of(user_id)
        added = await uow.connection.fetchval(
            "INSERT INTO deliveries (id, user_id, shard, kind, order_id, part, key, final, body, "
            "due_at, traceparent, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10) "
            "ON CONFLICT DO NOTHING RETURNING id",
            id or self._new_id(),
            user_id,
            shard,
            kind,
            order_id,
            part,
            key,
            final,
            msgspec.to_builtins(body),
            uow.now,
            uow.traceparent or tracing.inject(),
        )
        if added is not None:
            uow.after_commit(self._wake_of(shard))
        return added is not None

    async def _supersede(self, uow: UnitOfWork, user_id: UserId, key: str) -> None:
        """A newer edit of the same message: one that nobody is sending now need not be sent."""
        await uow.connection.execute(
            "UPDATE deliveries SET state = $3, settled_at = $4 "
            "WHERE user_id = $1 AND key = $2 AND kind = $5 AND state = 'intent' "
            "AND leased_by IS NULL AND NOT final",
            user_id,
            key,
            SUPERSEDED,
            uow.now,
            EDIT,
        )

    def _wake_of(self, shard: int) -> Callable[[], None]:
        """The same object for the same shard, so that one commit wakes it once."""
        if shard not in self._wakes:
            self._wakes[shard] = lambda: self._wake(shard)
        return self._wakes[shard]


async def emit_recorded(uow: UnitOfWork, order_id: OrderId, user_id: UserId) -> None:
    """Say how an order's result ended, once no part of it is waiting. Saying it twice is fine."""
    row = await uow.connection.fetchrow(
        "SELECT count(*) FILTER (WHERE state = 'intent') AS waiting, "
        "coalesce(min(message_id), 0) AS message_id, coalesce(max(reason), '') AS reason "
        "FROM deliveries WHERE order_id = $1 AND kind = $2",
        order_id,
        RESULT,
    )
    assert row is not None
    if row["waiting"]:
        return
    message_id = row["message_id"]
    uow.emit(
        DeliveryRecorded(
            order_id=order_id,
            user_id=user_id,
            message_id=message_id,
            reason="" if message_id else row["reason"],
        ),
        order_id=order_id,
    )
