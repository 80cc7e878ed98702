"""Handles a command in a transaction that is always rolled back, and tells what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from billing.domain.errors import InvalidError
from chassis.clock import new_id
from chassis.consumers import Received, Route, Subscription
from chassis.database import Connection
from chassis.outbox import Outbox, UnitOfWork
from contracts.billing import CommandRejected
from contracts.envelope import Headers, Message
from contracts.errors import RefusalError
from contracts.ids import MessageId
from contracts.operators import Said, Tried, TryCommand

_AUDIT = (
    "INSERT INTO operator_actions (actor, action, subject_id, detail, dry_run, outcome, acted_at) "
    "VALUES ($1, $2, $3, $4, true, $5, $6)"
)
_IDS = ("charge_id", "adjustment_id", "order_id", "payment_id", "code", "user_id")
"""What names a command's subject, the most telling first."""


class _RolledBackError(Exception):
    """Ends the transaction: nothing of it may stay."""


class DryRun:
    def __init__(self, outbox: Outbox, subscriptions: Sequence[Subscription]) -> None:
        self._outbox = outbox
        self._routes = {
            route.message.subject: (route, each.lock)
            for each in subscriptions
            for route in each.routes
            if ".cmd." in route.message.subject
        }

    async def try_command(self, request: TryCommand) -> Tried:
        """Raises InvalidError for a command nobody here handles or that cannot be read."""
        known = self._routes.get(request.command_subject)
        if known is None:
            raise InvalidError("no such command")
        route, lock = known
        try:
            command = route.message.decode(request.body)
        except msgspec.DecodeError as error:
            raise InvalidError("the command cannot be read") from error
        now = self._outbox.clock.now()
        tried = Tried()
        async with self._outbox.database.read() as connection:
            try:
                async with connection.transaction():
                    if lock is not None:
                        await lock(connection, sorted(command.lock_keys()))
                    tried = await _handled(route, command, connection, now)
                    raise _RolledBackError
            except _RolledBackError:
                await _record(connection, request, command, tried, now)
        return tried


async def _handled(route: Route, command: Message, connection: Connection, now: datetime) -> Tried:
    uow = UnitOfWork(connection, now)
    headers = Headers(id=MessageId(new_id()), sent_at=now)
    handler: Any = route.handler
    try:
        if route.batch:
            await handler([Received(command, headers, command.subject, 1)], uow)
        else:
            await handler(command, uow)
    except RefusalError as error:
        return Tried(code=error.code)
    rejections = [
        CommandRejected.decode(row.body).code
        for row in uow.rows
        if row.subject == CommandRejected.subject
    ]
    messages = tuple(Said(subject=row.subject, body=_readable(row.body)) for row in uow.rows)
    return Tried(
        code=rejections[0] if rejections else "",
        messages=messages,
        effects=tuple(row.key for row in uow.effects),
    )


def _readable(body: bytes) -> str:
    return msgspec.json.encode(msgspec.msgpack.decode(body)).decode()


async def _record(
    connection: Connection, request: TryCommand, command: Message, tried: Tried, now: datetime
) -> None:
    named = next((str(getattr(command, name)) for name in _IDS if hasattr(command, name)), "")
    verb = request.command_subject.split(".")[2]
    detail = {"would_say": [said.subject for said in tried.messages]}
    await connection.execute(
        _AUDIT, request.actor[:200], verb, named, detail, tried.code or "would be done", now
    )
