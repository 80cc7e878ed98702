"""What was handled: one row per message id, so that a repeat changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis.database import Connection
from contracts.ids import uuid7_time

WORD_PREFIX = "word:"
"""Of names in `aggregate_versions` that are no aggregate with versions of its own."""


def day_of(message_id: UUID) -> datetime:
    """Return the moment whose day is the id's partition; raise ValueError unless it is a UUIDv7."""
    return uuid7_time(message_id)


async def record(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Record message ids as handled and return those that are new.

    A second transaction that records the same id waits for the first one's end.
    """
    rows = await connection.fetch(
        "INSERT INTO inbox (day, id) SELECT * FROM unnest($1::date[], $2::uuid[]) "
        "ON CONFLICT DO NOTHING RETURNING id",
        [day_of(each).date() for each in ids],
        list(ids),
    )
    return {row["id"] for row in rows}


async def is_newer(connection: Connection, *, aggregate: str, version: int, now: datetime) -> bool:
    """Record an aggregate's version; False when one at least as new was recorded before."""
    found = await connection.fetchval(
        "INSERT INTO aggregate_versions (aggregate, version, seen_at) VALUES ($1, $2, $3) "
        "ON CONFLICT (aggregate) DO UPDATE SET version = $2, seen_at = $3 "
        "WHERE aggregate_versions.version < $2 RETURNING version",
        aggregate,
        version,
        now,
    )
    return found is not None


def word_time(said: UUID, now: datetime) -> int:
    """When a word was said, in ms since 1970; one from a clock ahead of ours counts as said now."""
    return round(min(uuid7_time(said), now).timestamp() * 1000)


async def is_last_word(connection: Connection, *, name: str, said: UUID, now: datetime) -> bool:
    """Record what was said last about `name`; False when something newer was recorded before.

    `said` is the message's id, and its time the word's: two of one millisecond pass in the order
    they come. A second transaction that asks about the same name waits for the first one's end.
    """
    found = await connection.fetchval(
        "INSERT INTO aggregate_versions (aggregate, version, seen_at) VALUES ($1, $2, $3) "
        "ON CONFLICT (aggregate) DO UPDATE SET version = $2, seen_at = $3 "
        "WHERE aggregate_versions.version <= $2 RETURNING version",
        WORD_PREFIX + name,
        word_time(said, now),
        now,
    )
    return found is not None


async def count_start(connection: Connection, message_id: UUID, now: datetime) -> int:
    """Count one more handler start of a message and return how many there were with it."""
    count: int = await connection.fetchval(
        "INSERT INTO starts (id, count, last_at) VALUES ($1, 1, $2) "
        "ON CONFLICT (id) DO UPDATE SET count = starts.count + 1, last_at = $2 RETURNING count",
        message_id,
        now,
    )
    return count


async def uncount_start(connection: Connection, message_id: UUID) -> None:
    """Take back the last start that was counted."""
    await connection.execute(
        "WITH first AS (DELETE FROM starts WHERE id = $1 AND count = 1) "
        "UPDATE starts SET count = count - 1 WHERE id = $1 AND count > 1",
        message_id,
    )
