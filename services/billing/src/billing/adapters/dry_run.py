"""Handles a command in a transaction that is always rolled back, and tells what it would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from billing.domain.errors import InvalidError
from billing.ports import Queues
from chassis.clock import new_id
from chassis.consumers import Received, Route, Subscription
from chassis.database import Connection
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from contracts.access import AccessNotBought, BuyAccess, RenewAccess
from contracts.billing import CommandRejected, OrderRefused, PlaceOrder
from contracts.envelope import Event, Headers, Message
from contracts.errors import RefusalError
from contracts.ids import MessageId
from contracts.operators import Said, Tried, TryCommand
from contracts.payments import BuyPlan, CreatePayment, PaymentFailed, PlanRefused
from contracts.rewards import GiftRefused, MakeGift, OpenGift, PromoRefused, RedeemPromo

_SOON = "SET LOCAL statement_timeout = '1500ms'"
"""Whoever asks waits for two seconds: nothing is locked, or waited for, in vain after that."""
_AUDIT = (
    "INSERT INTO operator_actions (actor, action, subject_id, detail, dry_run, outcome, acted_at) "
    "VALUES ($1, $2, $3, $4, true, $5, $6)"
)
_REFUSALS: Mapping[str, tuple[type[Event], str]] = {
    PlaceOrder.subject: (OrderRefused, "code"),
    BuyPlan.subject: (PlanRefused, "code"),
    BuyAccess.subject: (AccessNotBought, "code"),
    RenewAccess.subject: (AccessNotBought, "code"),
    CreatePayment.subject: (PaymentFailed, "code"),
    RedeemPromo.subject: (PromoRefused, "reason"),
    MakeGift.subject: (GiftRefused, "reason"),
    OpenGift.subject: (GiftRefused, "reason"),
}
"""How a command's own refusal is told, and where its code stands; others are rejected."""
_IDS = (
    "charge_id",
    "adjustment_id",
    "grant_key",
    "order_id",
    "payment_id",
    "seal_id",
    "code",
    "user_id",
)
"""What names a command's subject, the most telling first."""


class _RolledBackError(Exception):
    """Ends the transaction: nothing of it may stay."""


class _Watched:
    """The queues as they are: an order that is only tried takes no place in them."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    @property
    def sampled(self) -> bool:
        return self._queues.sampled

    def rooms(self) -> dict[str, int]:
        return self._queues.rooms()

    def taken(self, pool: str, jobs: int) -> None:
        """Nothing was taken."""


class DryRun:
    """`table` makes the service's contents; these handlers work on queues they cannot fill."""

    def __init__(
        self, outbox: Outbox, table: Callable[..., Sequence[Subscription]], queues: Queues
    ) -> None:
        self._outbox = outbox
        subscriptions = table(queues=_Watched(queues))
        self._routes = {
            route.message.subject: (route, each.lock)
            for each in subscriptions
            for route in each.routes
            if ".cmd." in route.message.subject
        }

    async def try_command(self, request: TryCommand) -> Tried:
        """Raises InvalidError for no command of ours, TransientError where it takes too long."""
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
                    await connection.execute(_SOON)
                    if lock is not None:
                        await lock(connection, sorted(command.lock_keys()))
                    tried = await _handled(route, command, connection, now)
                    raise _RolledBackError
            except _RolledBackError:
                await _record(connection, request, command, tried, now)
            except asyncpg.QueryCanceledError:
                raise TransientError("an account is in use for too long") from None
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
    told: dict[str, tuple[type[Event], str]] = {CommandRejected.subject: (CommandRejected, "code")}
    if command.subject in _REFUSALS:
        event, field = _REFUSALS[command.subject]
        told[event.subject] = (event, field)
    rejections = [
        getattr(told[row.subject][0].decode(row.body), told[row.subject][1])
        for row in uow.rows
        if row.subject in told
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
