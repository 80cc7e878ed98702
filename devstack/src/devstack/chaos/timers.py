"""Invariant 8: every timer fires, not early, not late, and what it asks for happens once."""

from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg

from chassis.clock import id_floor
from contracts.ids import derived_id
from devstack.chaos.findings import Finding, count, rows

LATE_SECONDS = 30.0
TRIAL_PERIOD_SECONDS = 2 * 86_400.0
"""Billing's default, which a chaos run leaves alone."""

_FIRINGS = "scheduler.outbox WHERE subject LIKE '%.cmd.%'"
_EFFECTS = " UNION ALL ".join(
    f"SELECT '{service}' AS service, * FROM {service}.effects"  # noqa: S608 - constant
    for service in ("gateway", "billing", "scheduler", "vpn")
)
_HANDLED = " UNION ALL ".join(
    f"SELECT id FROM {service}.inbox"  # noqa: S608 - constant
    for service in ("gateway", "billing", "vpn")
)


async def timers(connection: asyncpg.Connection, keys: Sequence[str]) -> list[Finding]:
    """Return what invariant 8 says, for timers that each asked for one audit of their own."""
    late = "now() - $1::float8 * interval '1 second'"
    unfired = await rows(
        connection,
        "SELECT k, t.state FROM unnest($1::text[]) AS k "
        "LEFT JOIN scheduler.timers t ON t.key = k WHERE t.state IS DISTINCT FROM 'fired'",
        keys,
    )
    fired = await count(connection, "SELECT count(*) FROM scheduler.timers WHERE state = 'fired'")
    early = await rows(
        connection, "SELECT key FROM scheduler.timers WHERE state = 'fired' AND changed_at < due_at"
    )
    ticks = await count(connection, "SELECT count(*) FROM scheduler.ticks")
    overdue = await rows(
        connection,
        f"SELECT name, due_at FROM scheduler.ticks WHERE due_at < {late}",  # noqa: S608 - constant
        LATE_SECONDS,
    )
    return [
        Finding("8", "every timer fired", len(keys), unfired),
        Finding("8", "none fired early", fired, early),
        Finding("8", "no tick is overdue", ticks, overdue),
        *await _firings(connection, keys),
        *await _effects(connection),
        await _trials(connection),
    ]


async def _firings(connection: asyncpg.Connection, keys: Sequence[str]) -> list[Finding]:
    """From the fired timer to its message, to the inbox that took it, to its one effect row."""
    fired = await connection.fetch(
        "SELECT key, version, due_at FROM scheduler.timers "
        "WHERE key = ANY($1) AND state = 'fired' ORDER BY key",
        keys,
    )
    names = [f"{row['key']} v{row['version']}" for row in fired]
    ids = [derived_id(id_floor(row["due_at"]), row["key"], row["version"]) for row in fired]
    told = await rows(
        connection,
        "SELECT f.name, count(o.id) FROM unnest($1::text[], $2::uuid[]) AS f (name, id) "
        "LEFT JOIN scheduler.outbox o ON o.id = f.id AND o.published_at IS NOT NULL "
        "GROUP BY f.name HAVING count(o.id) <> 1",
        names,
        ids,
    )
    asked = [f"audit:{row['due_at'].astimezone(UTC).isoformat()}" for row in fired]
    without = await rows(
        connection,
        "SELECT f.name, count(e.key) FROM unnest($1::text[], $2::text[]) AS f (name, key) "
        "LEFT JOIN billing.effects e ON e.key = f.key GROUP BY f.name HAVING count(e.key) <> 1",
        names,
        asked,
    )
    now: datetime = await connection.fetchval("SELECT now()")
    unhandled = await rows(
        connection,
        f"SELECT o.subject, o.id, count(i.id) FROM (SELECT * FROM {_FIRINGS}) o "  # noqa: S608 - constant
        f"LEFT JOIN ({_HANDLED}) i ON i.id = o.id "
        "WHERE coalesce(o.published_at, $1) < $1 - $2::float8 * interval '1 second' "
        "GROUP BY 1, 2 HAVING count(i.id) <> 1",
        now,
        LATE_SECONDS,
    )
    sent = await count(connection, f"SELECT count(*) FROM {_FIRINGS}")  # noqa: S608 - constant
    return [
        Finding("8", "a fired timer was told exactly once", len(fired), told),
        Finding("8", "what was fired was handled exactly once", sent, unhandled),
        Finding("8", "a fired timer has its one effect", len(fired), without),
    ]


async def _effects(connection: asyncpg.Connection) -> list[Finding]:
    """A leased effect may belong to a dead process: it is due again when the lease is over."""
    looked_at = await count(connection, f"SELECT count(*) FROM ({_EFFECTS}) e")  # noqa: S608 - constant
    left = await rows(
        connection,
        f"SELECT service, key, state, last_reason FROM ({_EFFECTS}) e "  # noqa: S608 - constant
        "WHERE state = 'failed' OR (state = 'due' AND greatest(due_at, leased_until) "
        "< now() - $1::float8 * interval '1 second')",
        LATE_SECONDS,
    )
    done = await count(
        connection, "SELECT count(*) FROM billing.effects WHERE kind = 'audit' AND state = 'done'"
    )
    # One statement, one snapshot: effects go on being done while the judge looks.
    unequal = await rows(
        connection,
        "SELECT done, told FROM (SELECT count(*) AS done FROM billing.effects "
        "WHERE kind = 'audit' AND state = 'done') d, (SELECT count(*) AS told FROM billing.outbox "
        "WHERE subject = 'billing.evt.audit_completed.v1') t WHERE done <> told",
    )
    return [
        Finding("8", "no effect failed or is overdue", looked_at, left),
        Finding("8", "a done effect told its result once", done, unequal),
    ]


async def _trials(connection: asyncpg.Connection) -> Finding:
    """Ticks ask for renewals all the time; a period's trial is given once all the same."""
    given = "(SELECT DISTINCT user_id, at FROM billing.transfers WHERE kind = 'trial') g"
    looked_at = await count(connection, f"SELECT count(*) FROM {given}")  # noqa: S608 - constant
    twice = await rows(
        connection,
        "SELECT user_id, at FROM (SELECT user_id, at, "  # noqa: S608 - constant
        f"lag(at) OVER (PARTITION BY user_id ORDER BY at) AS before FROM {given}) p "
        "WHERE at - before < $1::float8 * interval '1 second'",
        TRIAL_PERIOD_SECONDS,
    )
    return Finding("8", "a period's trial was given once", looked_at, twice)
