"""Ticks and the limits of kinds in Postgres: a row each, shared by all replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from chassis.database import Connection
from scheduler.domain.ticks import DueTick


class PostgresTicks:
    """The claims of jobs.py that are not timers."""

    async def set_ticks(self, connection: Connection, periods: Mapping[str, timedelta]) -> None:
        """Have a row for every tick of the settings; a changed period counts from now.

        Rows of other ticks stay: a replica of another release, or with other settings, knows them.
        """
        await connection.execute(
            "INSERT INTO ticks (name, period_seconds, due_at) "
            "SELECT n, p, clock_timestamp() + p * interval '1 second' "
            "FROM unnest($1::text[], $2::float8[]) AS s (n, p) ORDER BY n "
            "ON CONFLICT (name) DO UPDATE SET period_seconds = excluded.period_seconds, "
            "due_at = LEAST(ticks.due_at, excluded.due_at)",
            list(periods),
            [period.total_seconds() for period in periods.values()],
        )

    async def claim_ticks(
        self, connection: Connection, periods: Mapping[str, timedelta], now: datetime
    ) -> list[DueTick]:
        """Lock the due ticks; the caller moves them on in the same transaction.

        Only those of `periods`: another release may know others, or the same at another pace.
        """
        rows = await connection.fetch(
            "SELECT name, due_at FROM ticks WHERE due_at <= $1 AND name = ANY($2) "
            "ORDER BY name FOR UPDATE SKIP LOCKED",
            now,
            list(periods),
        )
        return [DueTick(row["name"], periods[row["name"]], row["due_at"]) for row in rows]

    async def move_ticks(self, connection: Connection, due: Mapping[str, datetime]) -> None:
        await connection.execute(
            "UPDATE ticks SET due_at = d.due_at FROM unnest($1::text[], $2::timestamptz[]) "
            "AS d (name, due_at) WHERE ticks.name = d.name",
            list(due),
            list(due.values()),
        )

    async def set_limits(self, connection: Connection, kinds: Sequence[str]) -> None:
        """Have a row for every limited kind; another replica may limit others."""
        await connection.execute(
            "INSERT INTO kind_limits SELECT k, to_timestamp(0) FROM unnest($1::text[]) AS k "
            "ORDER BY k ON CONFLICT DO NOTHING",
            list(kinds),
        )

    async def claim_limits(
        self, connection: Connection, kinds: Sequence[str]
    ) -> dict[str, datetime]:
        """Lock the rows of limited kinds; another replica is firing those that are missing."""
        rows = await connection.fetch(
            "SELECT kind, free_at FROM kind_limits WHERE kind = ANY($1) "
            "ORDER BY kind FOR UPDATE SKIP LOCKED",
            list(kinds),
        )
        return {row["kind"]: row["free_at"] for row in rows}

    async def pay_off(self, connection: Connection, free_at: Mapping[str, datetime]) -> None:
        await connection.execute(
            "UPDATE kind_limits SET free_at = f.free_at "
            "FROM unnest($1::text[], $2::timestamptz[]) AS f (kind, free_at) "
            "WHERE kind_limits.kind = f.kind",
            list(free_at),
            list(free_at.values()),
        )
