"""What an operator sees and does by hand, in the scheduler's own tables; every deed is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from chassis.database import Connection
from scheduler.adapters.postgres import due_timer, rule_of
from scheduler.domain.calendar import Rule
from scheduler.domain.settling import DueTimer

_SHOWN = (
    "key, version, state, kind, due_at, changed_at, fire_subject, fire_body, traceparent, "
    "catch_up, late_max_seconds, group_name, rule, "
    "extract(epoch FROM clock_timestamp() - due_at)::float8 AS late_seconds"
)
LIST = (
    f"SELECT {_SHOWN} FROM timers WHERE ($1 = '' OR kind = $1) AND ($2 = '' OR state = $2) "  # noqa: S608 - constant
    "AND ($3 = '' OR starts_with(key, $3)) AND ($4 = '' OR group_name = $4) "
    "AND ($5::timestamptz IS NULL OR due_at >= $5) AND ($6::timestamptz IS NULL OR due_at < $6) "
    "AND (NOT $7 OR (state = 'armed' AND due_at < clock_timestamp())) ORDER BY due_at, key LIMIT $8"
)
SHOW = f"SELECT {_SHOWN} FROM timers WHERE key = $1"  # noqa: S608 - constant
ACTIONS = (
    "SELECT acted_at, actor, action, dry_run, outcome, detail FROM operator_actions "
    "WHERE key = $1 ORDER BY number"
)
TAKE = (
    "SELECT key, version, due_at, fire_subject, fire_body, traceparent, kind, catch_up, "
    "late_max_seconds, rule FROM timers WHERE key = $1 FOR UPDATE"
)
TICKS = (
    "SELECT name, period_seconds, due_at, extract(epoch FROM clock_timestamp() - due_at)::float8 "
    "AS late_seconds FROM ticks ORDER BY due_at, name"
)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A timer as it is shown."""

    key: str
    version: int
    state: str
    kind: str
    due_at: datetime
    changed_at: datetime
    late_seconds: float
    fire_subject: str
    fire_body: bytes
    traceparent: str
    catch_up: str
    late_max_seconds: int
    group_name: str
    rule: Rule | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which timers to list; what is empty does not matter."""

    kind: str = ""
    state: str = ""
    prefix: str = ""
    group: str = ""
    due_after: datetime | None = None
    due_before: datetime | None = None
    overdue: bool = False
    limit: int


async def listed(connection: Connection, wanted: Wanted) -> list[Shown]:
    rows = await connection.fetch(
        LIST,
        wanted.kind,
        wanted.state,
        wanted.prefix,
        wanted.group,
        wanted.due_after,
        wanted.due_before,
        wanted.overdue,
        wanted.limit,
    )
    return [_shown(row) for row in rows]


async def shown(connection: Connection, key: str) -> Shown | None:
    row = await connection.fetchrow(SHOW, key)
    return None if row is None else _shown(row)


async def actions_of(connection: Connection, key: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(ACTIONS, key)]


async def ticks(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(TICKS)]


async def take(connection: Connection, key: str) -> DueTimer:
    """Lock a timer that exists, in whatever state, as if it were due."""
    return due_timer(await connection.fetchrow(TAKE, key))


async def record(
    connection: Connection,
    key: str,
    action: str,
    *,
    actor: str,
    detail: Mapping[str, object],
    dry_run: bool,
    outcome: str,
) -> None:
    await connection.execute(
        "INSERT INTO operator_actions (actor, action, key, detail, dry_run, outcome, acted_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())",
        actor,
        action,
        key,
        detail,
        dry_run,
        outcome,
    )


async def now_of(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now


def _shown(row: Mapping[str, Any]) -> Shown:
    fields = dict(row)
    rule = rule_of(fields.pop("rule"))
    return Shown(**fields, rule=rule)
