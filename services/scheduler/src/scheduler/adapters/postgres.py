"""Timers and ticks in Postgres: claimed with SKIP LOCKED, due by the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from chassis.database import Connection
from contracts.scheduler import ScheduleTimer


class DueTimer(msgspec.Struct, frozen=True):
    """A timer that was claimed for firing."""

    key: str
    version: int
    due_at: datetime
    fire_subject: str
    fire_body: bytes
    traceparent: str


class DueTick(msgspec.Struct, frozen=True):
    """A tick that was claimed; `period` decides when it is due again."""

    name: str
    period: timedelta
    due_at: datetime


class PostgresTimers:
    """Implements ports.Timers, and the claims of jobs.py."""

    async def arm(
        self, connection: Connection, timer: ScheduleTimer, *, traceparent: str, now: datetime
    ) -> bool:
        status = await connection.execute(
            "INSERT INTO timers (key, version, due_at, fire_subject, fire_body, traceparent, "
            "state, changed_at) VALUES ($1, $2, $3, $4, $5, $6, 'armed', $7) "
            "ON CONFLICT (key) DO UPDATE SET version = $2, due_at = $3, fire_subject = $4, "
            "fire_body = $5, traceparent = $6, state = 'armed', changed_at = $7 "
            "WHERE timers.version < $2",
            timer.key,
            timer.version,
            timer.due_at,
            timer.fire_subject,
            timer.fire_body,
            traceparent,
            now,
        )
        return bool(status == "INSERT 0 1")

    async def cancel(
        self, connection: Connection, key: str, version: int, *, now: datetime
    ) -> bool:
        """A cancel of the armed version itself wins over it."""
        status = await connection.execute(
            "INSERT INTO timers (key, version, due_at, fire_subject, fire_body, traceparent, "
            "state, changed_at) VALUES ($1, $2, $3, '', '', '', 'cancelled', $3) "
            "ON CONFLICT (key) DO UPDATE SET version = $2, state = 'cancelled', changed_at = $3 "
            "WHERE timers.version < $2 OR (timers.version = $2 AND timers.state = 'armed')",
            key,
            version,
            now,
        )
        return bool(status == "INSERT 0 1")

    async def claim_due(self, connection: Connection, limit: int) -> list[DueTimer]:
        """Mark due timers fired and return them; another replica sees none of them."""
        rows = await connection.fetch(
            "UPDATE timers SET state = 'fired', changed_at = clock_timestamp() WHERE key IN ("
            " SELECT key FROM timers WHERE state = 'armed' AND due_at <= clock_timestamp()"
            " ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) "
            "RETURNING key, version, due_at, fire_subject, fire_body, traceparent",
            limit,
        )
        return [DueTimer(*row.values()) for row in rows]

    async def set_ticks(self, connection: Connection, periods: Mapping[str, timedelta]) -> None:
        """Make the ticks those of the settings; a changed period counts from now."""
        await connection.execute(
            "INSERT INTO ticks (name, period_seconds, due_at) "
            "SELECT n, p, clock_timestamp() + p * interval '1 second' "
            "FROM unnest($1::text[], $2::float8[]) AS s (n, p) "
            "ON CONFLICT (name) DO UPDATE SET period_seconds = excluded.period_seconds, "
            "due_at = LEAST(ticks.due_at, excluded.due_at)",
            list(periods),
            [period.total_seconds() for period in periods.values()],
        )
        await connection.execute("DELETE FROM ticks WHERE name <> ALL($1)", list(periods))

    async def claim_ticks(self, connection: Connection) -> list[DueTick]:
        """Lock the due ticks; the caller moves them on in the same transaction."""
        rows = await connection.fetch(
            "SELECT name, period_seconds, due_at FROM ticks WHERE due_at <= clock_timestamp() "
            "FOR UPDATE SKIP LOCKED"
        )
        return [
            DueTick(row["name"], timedelta(seconds=row["period_seconds"]), row["due_at"])
            for row in rows
        ]

    async def move_tick(self, connection: Connection, name: str, due_at: datetime) -> None:
        await connection.execute("UPDATE ticks SET due_at = $2 WHERE name = $1", name, due_at)

    async def database_now(self, connection: Connection) -> datetime:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now

    async def seconds_until_due(self, connection: Connection) -> float | None:
        """Return how long until anything is due (negative: overdue), or None for never."""
        seconds: float | None = await connection.fetchval(
            "SELECT EXTRACT(epoch FROM min(due_at) - clock_timestamp())::float8 FROM ("
            "(SELECT due_at FROM timers WHERE state = 'armed' ORDER BY due_at LIMIT 1) "
            "UNION ALL (SELECT due_at FROM ticks ORDER BY due_at LIMIT 1)) AS next"
        )
        return seconds

    async def forget_ended(self, connection: Connection, before: datetime) -> int:
        """Delete fired timers and tombstones that ended before a moment; return how many."""
        status = await connection.execute(
            "DELETE FROM timers WHERE state <> 'armed' AND changed_at < $1", before
        )
        return int(status.split()[-1])
