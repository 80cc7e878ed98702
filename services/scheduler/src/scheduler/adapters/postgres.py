"""Timers in Postgres: changed by version, claimed kind by kind with SKIP LOCKED."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chassis.database import Connection
from scheduler.domain.calendar import Rule
from scheduler.domain.settling import DueTimer, Settled
from scheduler.domain.timers import Change

FORGET_ROWS_MAX = 1_000
_COLUMNS = (
    "t.key, t.version, t.due_at, t.fire_subject, t.fire_body, t.traceparent, t.kind, t.catch_up, "
    "t.late_max_seconds, t.rule"
)
CHANGE = (
    "INSERT INTO timers (key, version, state, due_at, fire_subject, fire_body, traceparent, kind, "
    "catch_up, late_max_seconds, group_name, rule, changed_at) "
    "SELECT c.*, clock_timestamp() FROM (SELECT key, version, state, due_at, fire_subject, "
    "fire_body, traceparent, kind, catch_up, late_max_seconds, group_name, rule::jsonb FROM "
    "unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::bytea[], "
    "$7::text[], $8::text[], $9::text[], $10::integer[], $11::text[], $12::text[]) AS u (key, "
    "version, state, due_at, fire_subject, fire_body, traceparent, kind, catch_up, "
    "late_max_seconds, group_name, rule)) AS c "
    "ON CONFLICT (key) DO UPDATE SET version = excluded.version, state = excluded.state, "
    "due_at = CASE excluded.state WHEN 'cancelled' THEN timers.due_at ELSE excluded.due_at END, "
    "fire_subject = CASE excluded.state WHEN 'cancelled' THEN timers.fire_subject "
    "ELSE excluded.fire_subject END, "
    "fire_body = CASE excluded.state WHEN 'cancelled' THEN timers.fire_body "
    "ELSE excluded.fire_body END, "
    "kind = CASE excluded.state WHEN 'cancelled' THEN timers.kind ELSE excluded.kind END, "
    "traceparent = excluded.traceparent, catch_up = excluded.catch_up, "
    "late_max_seconds = excluded.late_max_seconds, group_name = excluded.group_name, "
    "rule = excluded.rule, changed_at = excluded.changed_at "
    "WHERE timers.version < excluded.version OR (timers.version = excluded.version "
    "AND excluded.state = 'cancelled' AND timers.state = 'armed')"
)
# One probe of the index for each kind: from the earliest of one to the earliest of the next.
LOOK = (
    "WITH RECURSIVE heads AS ("
    "(SELECT kind, due_at FROM timers WHERE state = 'armed' ORDER BY kind, due_at LIMIT 1) "
    "UNION ALL SELECT n.kind, n.due_at FROM heads CROSS JOIN LATERAL ("
    " SELECT kind, due_at FROM timers WHERE state = 'armed' AND kind > heads.kind"
    " ORDER BY kind, due_at LIMIT 1) AS n) "
    "SELECT clock_timestamp() AS now, (SELECT min(due_at) FROM ticks WHERE name = ANY($1)) AS tick,"
    " (SELECT count(*) FROM ticks JOIN unnest($1::text[], $2::float8[]) AS k (name, seconds)"
    " USING (name) WHERE due_at <= clock_timestamp() + seconds * interval '1 second') AS ticks,"
    " (SELECT count(*) FROM kind_limits WHERE kind = ANY($3)) AS limits,"
    " (SELECT due_at FROM timers WHERE state = 'armed' AND group_name <> ''"
    " ORDER BY due_at LIMIT 1) AS grouped,"
    " array(SELECT kind FROM heads ORDER BY kind) AS kinds,"
    " array(SELECT due_at FROM heads ORDER BY kind) AS dues"
)
_NEWER = (
    "EXISTS (SELECT FROM timers n WHERE n.group_name = t.group_name AND n.group_name <> ''"
    " AND n.state IN ('armed', 'fired') AND n.due_at <= {now}"
    " AND (n.due_at, n.key) > (t.due_at, t.key))"
)
CLAIM = (
    f"SELECT d.* FROM unnest($1::text[], $2::integer[]) AS k (kind, places) CROSS JOIN LATERAL ("  # noqa: S608 - constants
    f" SELECT {_COLUMNS} FROM timers t WHERE t.state = 'armed' AND t.kind = k.kind"
    f" AND t.due_at <= $3 AND (t.group_name = '' OR ($4 AND NOT {_NEWER.format(now='$3')}))"
    " ORDER BY t.due_at LIMIT k.places FOR UPDATE SKIP LOCKED) AS d"
)
CLAIM_SUPERSEDED = (
    f"SELECT {_COLUMNS} FROM timers t WHERE t.state = 'armed' AND t.group_name <> ''"  # noqa: S608 - constants
    f" AND t.due_at <= $1 AND {_NEWER.format(now='$1')}"
    " ORDER BY t.due_at LIMIT $2 FOR UPDATE SKIP LOCKED"
)
SETTLE = (
    "UPDATE timers SET state = s.state, due_at = s.due_at, "
    "rule = COALESCE(s.rule::jsonb, timers.rule), "
    "changed_at = clock_timestamp() FROM unnest($1::text[], $2::text[], $3::timestamptz[], "
    "$4::text[]) AS s (key, state, due_at, rule) WHERE timers.key = s.key"
)
FORGET = (
    "DELETE FROM timers WHERE key IN (SELECT key FROM timers WHERE state <> 'armed' "
    "AND changed_at < $1 ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)"
)


class Look(msgspec.Struct, frozen=True):
    """What is due next, by the database's clock: of each kind, of ticks and of groups."""

    now: datetime
    heads: Mapping[str, datetime]
    tick: datetime | None
    grouped: datetime | None
    whole: bool = True
    """Whether ticks and limits have their rows, and no tick is further off than its period."""

    def due_kinds(self) -> list[str]:
        return [kind for kind, due_at in self.heads.items() if due_at <= self.now]

    @property
    def tick_due(self) -> bool:
        return self.tick is not None and self.tick <= self.now

    @property
    def grouped_due(self) -> bool:
        return self.grouped is not None and self.grouped <= self.now

    def seconds_left(self) -> float | None:
        """Return how long until anything is due (negative: overdue), or None for never."""
        moments = [*self.heads.values(), *((self.tick,) if self.tick else ())]
        return (min(moments) - self.now).total_seconds() if moments else None


class PostgresTimers:
    """Implements ports.Timers, and the claims of jobs.py."""

    async def change(self, connection: Connection, changes: Sequence[Change]) -> int:
        status = await connection.execute(
            CHANGE,
            [each.key for each in changes],
            [each.version for each in changes],
            [each.state for each in changes],
            [each.due_at for each in changes],
            [each.fire_subject for each in changes],
            [each.fire_body for each in changes],
            [each.traceparent for each in changes],
            [each.kind for each in changes],
            [each.catch_up for each in changes],
            [each.late_max_seconds for each in changes],
            [each.group for each in changes],
            [_json(each.rule) for each in changes],
        )
        return int(status.rpartition(" ")[2])

    async def look(
        self,
        connection: Connection,
        periods: Mapping[str, timedelta],
        limited: Collection[str] = (),
    ) -> Look:
        """`periods`: of the ticks the settings know; `limited`: the kinds that have a limit."""
        seconds = [period.total_seconds() for period in periods.values()]
        row = await connection.fetchrow(LOOK, list(periods), seconds, list(limited))
        assert row is not None
        heads = dict(zip(row["kinds"], row["dues"], strict=True))
        whole = (row["ticks"], row["limits"]) == (len(periods), len(limited))
        return Look(row["now"], heads, row["tick"], row["grouped"], whole)

    async def claim(
        self,
        connection: Connection,
        places: Mapping[str, int],
        now: datetime,
        *,
        grouped: bool = True,
    ) -> list[DueTimer]:
        """Lock due timers, of each kind at most so many; the caller settles them.

        Another replica sees none of them. One of a group is claimed only if it is the newest.
        """
        rows = await connection.fetch(CLAIM, list(places), list(places.values()), now, grouped)
        return [due_timer(row) for row in rows]

    async def claim_superseded(
        self, connection: Connection, now: datetime, limit: int
    ) -> list[DueTimer]:
        """Lock due timers of groups in which a newer one is due as well, or has fired."""
        return [due_timer(row) for row in await connection.fetch(CLAIM_SUPERSEDED, now, limit)]

    async def settle(self, connection: Connection, settled: Sequence[Settled]) -> None:
        """Write how claimed timers ended."""
        await connection.execute(
            SETTLE,
            [each.timer.key for each in settled],
            [each.state for each in settled],
            [each.due_at for each in settled],
            [_json(each.rule) for each in settled],
        )

    async def forget_ended(self, connection: Connection, before: datetime) -> int:
        """Delete some timers that ended before a moment, and tombstones; return how many."""
        status = await connection.execute(FORGET, before, FORGET_ROWS_MAX)
        return int(status.rpartition(" ")[2])


def due_timer(row: Any) -> DueTimer:
    *fields, stored = row.values()
    rule = rule_of(stored)
    fields += [rule, (rule is None) == (stored is None)]
    return DueTimer(*fields)


def rule_of(stored: object) -> Rule | None:
    """Return a stored rule; None also for one that another release wrote and this cannot read."""
    try:
        return None if stored is None else msgspec.convert(stored, Rule)
    except msgspec.ValidationError:
        return None


def _json(rule: Rule | None) -> str | None:
    return None if rule is None else msgspec.json.encode(rule).decode()
