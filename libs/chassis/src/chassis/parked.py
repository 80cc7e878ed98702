"""Dead letters: rows of their owner, listed, shown and re-driven under their original id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import msgspec

from chassis import inbox, logs, metrics, signatures
from chassis.broker import Delivery
from chassis.clock import new_id
from chassis.database import Connection
from chassis.outbox import UnitOfWork
from contracts import topology
from contracts.envelope import HEADER_ID, HEADER_SENT_AT, HEADER_TRACE, Event, Reply, Request
from contracts.ids import derived_id, uuid7_time

log = logs.get("chassis.parked")
LIST_MAX = 100
BODY_SHOWN_BYTES_MAX = 64_000
_NO_TIME = UUID("00000000-0000-7000-8000-000000000000")
parked_count = metrics.counter("vitrine.messages.parked", description="messages that were parked")


class MessageParked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The notice on the stream DEAD; the message itself stays with its owner."""

    subject: ClassVar[str] = "dead.{service}"

    parked_id: UUID
    message_subject: str
    reason: str


class ParkedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parked message as its table holds it."""

    id: UUID
    stream: str
    consumer: str
    subject: str
    headers: dict[str, str]
    body: bytes
    reason: str
    traceparent: str
    parked_at: datetime
    state: str


class ListParked(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "{service}.rpc.parked_list"

    state: str = "parked"
    limit: int = LIST_MAX


class ShowParked(Request, frozen=True, kw_only=True, omit_defaults=True):
    subject: ClassVar[str] = "{service}.rpc.parked_show"

    id: UUID


class RedriveParked(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Compare-and-set parked -> fresh: a double click does nothing."""

    subject: ClassVar[str] = "{service}.rpc.parked_redrive"

    id: UUID
    actor: str


class ParkedList(Reply, frozen=True, kw_only=True, omit_defaults=True):
    rows: tuple[ParkedRow, ...] = ()


class Redriven(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """`changed` is False when the message was not parked (any more)."""

    changed: bool


def made_at(headers: Mapping[str, str]) -> datetime | None:
    """Return when a message was made, by its header or its id; None when neither tells.

    The header first: a derived id carries the time of what it is derived from.
    """
    try:
        sent_at = datetime.fromisoformat(headers.get(HEADER_SENT_AT, ""))
        if sent_at.tzinfo is not None:
            return sent_at
    except ValueError:
        log.debug("not_a_time")
    try:
        return uuid7_time(UUID(headers.get(HEADER_ID, "")))
    except ValueError:
        return None


def row_id(delivery: Delivery) -> UUID:
    """Return the message's own id, or one derived from its place in the stream."""
    try:
        found = UUID(delivery.headers.get(HEADER_ID, ""))
        uuid7_time(found)
    except ValueError:
        return derived_id(_NO_TIME, delivery.stream, delivery.stream_sequence)
    return found


def id_of_place(delivery: Delivery) -> UUID:
    """Return an id for a message whose own is not to be believed.

    Under that the true message, still to come, would pass for handled.
    """
    claimed = delivery.headers.get(HEADER_ID, "")
    return derived_id(_NO_TIME, delivery.stream, delivery.stream_sequence, claimed)


async def park(uow: UnitOfWork, delivery: Delivery, *, reason: str, service: str) -> None:
    """Keep a message nobody could handle, with its inbox row, and send the notice."""
    refused = reason in signatures.REASONS
    parked_id = id_of_place(delivery) if refused else row_id(delivery)
    age = uow.now - uuid7_time(parked_id)
    recordable = timedelta(days=-2) < age < topology.INBOX_HORIZON - timedelta(days=1)
    if recordable and not await inbox.record(uow.connection, [parked_id]):
        return  # handled, or parked before: only its acknowledgement was lost
    inserted = await uow.connection.fetchval(
        "INSERT INTO parked (id, stream, consumer, subject, headers, body, reason, traceparent, "
        "parked_at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'parked') "
        "ON CONFLICT (id) DO NOTHING RETURNING id",
        parked_id,
        delivery.stream,
        delivery.consumer,
        _storable(delivery.subject),
        {_storable(name): _storable(value) for name, value in delivery.headers.items()},
        delivery.body,
        reason,
        _storable(delivery.headers.get(HEADER_TRACE, "")),
        uow.now,
    )
    if inserted is None:
        return
    notice = MessageParked(parked_id=parked_id, message_subject=delivery.subject, reason=reason)
    uow.emit(notice, subject=f"dead.{service}", id=new_id())
    parked_count.add(1, {"service": service, "refused": reason if refused else ""})
    log.error("message_parked", subject=delivery.subject, id=str(parked_id), reason=reason)


def _storable(text: str) -> str:
    """Postgres keeps no NUL in a text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


_COLUMNS = "id, stream, consumer, subject, headers, body, reason, traceparent, parked_at, state"


async def listed(connection: Connection, *, state: str, limit: int) -> ParkedList:
    """Return the newest rows of a state (`parked`, `fresh`, `done`), without their bodies."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM parked WHERE state = $1 ORDER BY parked_at DESC LIMIT $2",  # noqa: S608 - constant columns
        state,
        min(limit, LIST_MAX),
    )
    return ParkedList(rows=tuple(ParkedRow(**{**dict(row), "body": b""}) for row in rows))


async def shown(connection: Connection, parked_id: UUID) -> ParkedList:
    """Return one row with up to 64,000 bytes of its body; an unknown id gives no row."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM parked WHERE id = $1", parked_id)  # noqa: S608 - constant columns
    return ParkedList(
        rows=tuple(
            ParkedRow(**{**dict(row), "body": row["body"][:BODY_SHOWN_BYTES_MAX]}) for row in rows
        )
    )


async def refresh(uow: UnitOfWork, parked_id: UUID, *, actor: str) -> bool:
    """Set parked -> fresh; False when it was not parked."""
    status = await uow.connection.execute(
        "UPDATE parked SET state = 'fresh', redriven_at = $2, redriven_by = $3 "
        "WHERE id = $1 AND state = 'parked'",
        parked_id,
        uow.now,
        actor,
    )
    if status != "UPDATE 1":
        return False
    # The operator's word is a new beginning: starts before it no longer count.
    await uow.connection.execute("DELETE FROM starts WHERE id = $1", parked_id)
    return True


async def begin_fresh(uow: UnitOfWork) -> tuple[UUID, int] | None:
    """Count a start of the oldest fresh row; to be committed before its handler begins."""
    parked_id = await uow.connection.fetchval(
        "SELECT id FROM parked WHERE state = 'fresh' "
        "ORDER BY parked_at LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    if parked_id is None:
        return None
    return parked_id, await inbox.count_start(uow.connection, parked_id, uow.now)


async def take_fresh(uow: UnitOfWork, parked_id: UUID) -> ParkedRow | None:
    """Lock a fresh row, mark it done in this transaction, and return it; None: taken meanwhile."""
    row = await uow.connection.fetchrow(
        f"SELECT {_COLUMNS} FROM parked WHERE id = $1 AND state = 'fresh' "  # noqa: S608 - constant columns
        "FOR UPDATE SKIP LOCKED",
        parked_id,
    )
    if row is None:
        return None
    await uow.connection.execute("UPDATE parked SET state = 'done' WHERE id = $1", row["id"])
    return ParkedRow(**dict(row))


async def give_up(uow: UnitOfWork, parked_id: UUID, reason: str) -> None:
    """Put a fresh row whose re-drive failed back among the parked.

    A message nobody vouches for stays one, whatever else went wrong: its reason says so.
    """
    await uow.connection.execute(
        "UPDATE parked SET state = 'parked', "
        "reason = CASE WHEN reason = ANY($3) THEN reason ELSE $2 END "
        "WHERE id = $1 AND state = 'fresh'",
        parked_id,
        reason,
        list(signatures.REASONS),
    )
