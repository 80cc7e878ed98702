"""The shop's invariants, asked of its databases from outside once everything is quiet."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from devstack.chaos.findings import Finding, count, rows

PRIORITY_SLACK_SECONDS = 3.0
"""One pull-back, the late start of a job already ahead, and replication lag."""
PRIORITY_ROUND_TRIPS = 10
"""So many lie between a claim and its start, as its generator gets to hear of it, with a pull-back
in between. On a machine that many share each of them takes longer."""
AFTERMATH_SECONDS = 5.0
"""After a kill, and after the silence in which a dead pod's claim is taken over, so much more until
priorities are judged again."""
CRASH_SLACK_SECONDS = 10.0
"""A send may take so long that its process died before Telegram showed the message."""

_CALM = (
    "NOT EXISTS (SELECT FROM unnest({kills}::float8[]) AS k WHERE to_timestamp(k) "
    "BETWEEN p.placed_at - {after}::float8 * interval '1 second' AND p.started_at)"
)
"""Only orders that no kill touched are judged, and only those are counted as looked at."""


async def money(connection: asyncpg.Connection) -> list[Finding]:
    """Return what invariant 1 and 4 say."""
    accounts = await count(connection, "SELECT count(*) FROM billing.accounts")
    lots = await rows(
        connection,
        "SELECT a.user_id, a.available, coalesce(l.sum, 0) AS lots FROM billing.accounts a "
        "LEFT JOIN (SELECT user_id, sum(remaining) FROM billing.lots GROUP BY 1) l USING (user_id) "
        "WHERE a.available <> coalesce(l.sum, 0) OR a.available < 0",
    )
    held = await rows(
        connection,
        "SELECT a.user_id, a.held, coalesce(h.sum, 0) AS holds FROM billing.accounts a "
        "LEFT JOIN (SELECT user_id, sum(amount) FROM billing.holds WHERE state = 'pending' "
        "GROUP BY 1) h USING (user_id) WHERE a.held <> coalesce(h.sum, 0)",
    )
    replay = await rows(
        connection,
        "WITH moved AS ("
        " SELECT user_id, lot,"
        "  sum(amount * ((credit = 'available')::int - (debit = 'available')::int)) AS total"
        " FROM billing.transfers GROUP BY user_id, lot)"
        "SELECT l.user_id, l.number, l.remaining, m.total FROM billing.lots l "
        "LEFT JOIN moved m ON m.user_id = l.user_id AND m.lot = l.number "
        "WHERE l.remaining <> coalesce(m.total, 0)",
    )
    grants = await count(connection, "SELECT count(*) FROM billing.grants")
    credited = await rows(
        connection,
        "SELECT g.grant_key, count(t.number) FROM billing.grants g LEFT JOIN billing.transfers t "
        "ON t.user_id = g.user_id AND t.lot = g.lot AND t.kind IN ('grant', 'trial') "
        "GROUP BY g.grant_key HAVING count(t.number) <> 1",
    )
    return [
        Finding("1", "available = lots, and never negative", accounts, lots),
        Finding("1", "held = pending holds", accounts, held),
        Finding("1", "lots = replay of the transfers", accounts, replay),
        Finding("4", "each grant credited once", grants, credited),
    ]


async def orders(connection: asyncpg.Connection, placed: Sequence[UUID]) -> list[Finding]:
    """Return what invariants 2 and 3 say about the orders people placed."""
    missing = await rows(
        connection,
        "SELECT p AS order_id FROM unnest($1::uuid[]) AS p "
        "LEFT JOIN billing.orders o ON o.order_id = p WHERE o.order_id IS NULL",
        placed,
    )
    unended = await rows(
        connection,
        "SELECT order_id, state FROM billing.orders "
        "WHERE state NOT IN ('completed', 'refunded', 'refused')",
    )
    told = await rows(
        connection,
        "SELECT o.order_id, count(e.id) FROM billing.orders o LEFT JOIN billing.outbox e "
        "ON e.headers::jsonb ->> 'Vitrine-Order' = o.order_id::text "
        "AND e.subject IN ('billing.evt.order_completed.v1', 'billing.evt.order_refunded.v1', "
        "'billing.evt.order_refused.v1', 'billing.evt.access_bought.v1', "
        "'billing.evt.access_not_bought.v1') GROUP BY 1 HAVING count(e.id) <> 1",
    )
    charged = await rows(
        connection,
        "SELECT order_id, o.state, h.state AS hold FROM billing.orders o "
        "FULL JOIN billing.holds h USING (order_id) WHERE "
        "(o.state = 'completed') <> (coalesce(h.state, '') = 'posted') "
        "OR (o.state = 'refused') <> (h.state IS NULL) OR h.state = 'pending'",
    )
    delivered = await rows(
        connection,
        "SELECT order_id FROM billing.orders WHERE state = 'completed' AND pool <> 'vpn' AND "
        "delivery_message_id IS NULL AND coalesce(delivery_reason, '') = ''",
    )
    given_away = await rows(
        connection,
        "SELECT d.order_id FROM gateway.deliveries d JOIN billing.orders o USING (order_id) "
        "WHERE d.kind = 'result' AND d.state = 'sent' AND o.state <> 'completed' AND NOT o.gift",
    )
    total = await count(connection, "SELECT count(*) FROM billing.orders")
    done = await count(
        connection,
        "SELECT count(*) FROM billing.orders WHERE state = 'completed' AND pool <> 'vpn'",
    )
    return [
        Finding("2", "every confirmed screen is an order", len(placed), missing),
        Finding("2", "every order has ended", total, unended),
        Finding("2", "its end was told exactly once", total, told),
        Finding("3", "charged if and only if completed", total, charged),
        Finding("3", "every completed order was delivered or says why not", done, delivered),
        Finding("3", "a refunded order delivers nothing", total, given_away),
    ]


async def results(
    connection: asyncpg.Connection,
    seen: Sequence[tuple[UUID, float]],
    crashes: Sequence[float],
) -> Finding:
    """Return whether a result came twice that no crash between send and record explains."""
    came: dict[UUID, list[float]] = {}
    for order_id, moment in seen:
        came.setdefault(order_id, []).append(moment)
    found = await connection.fetch(
        "SELECT order_id, count(*) AS parts, sum(attempts) AS starts FROM gateway.deliveries "
        "WHERE kind = 'result' GROUP BY 1"
    )
    known = {row["order_id"]: (int(row["parts"]), int(row["starts"])) for row in found}
    broken = []
    for order_id, moments in came.items():
        parts, starts = known.get(order_id, (0, 0))
        first, last = min(moments) - CRASH_SLACK_SECONDS, max(moments)
        excused = len(moments) <= starts and any(first <= crash <= last for crash in crashes)
        if len(moments) > parts and not excused:
            broken.append(f"{order_id} came {len(moments)} times, {starts} starts")
    return Finding("3", "a result comes again only after a crash", len(came), tuple(broken))


async def updates(connection: asyncpg.Connection, sent: Sequence[int]) -> Finding:
    """Return what invariant 5 says about the updates Telegram was acknowledged for."""
    lost = await rows(
        connection,
        "SELECT s FROM unnest($1::bigint[]) AS s "
        "LEFT JOIN gateway.updates u ON u.update_id = s WHERE u.handled_at IS NULL",
        sent,
    )
    return Finding("5", "every update took effect", len(sent), lost)


async def parked(connection: asyncpg.Connection) -> list[Finding]:
    """Return what is parked: nothing well-formed ever should be."""
    findings = []
    for service in ("gateway", "billing", "scheduler", "vpn"):
        query = f"SELECT subject, reason FROM {service}.parked WHERE state <> 'done'"  # noqa: S608 - constant
        handled = await count(connection, f"SELECT count(*) FROM {service}.inbox")  # noqa: S608 - constant
        left = await rows(connection, query)
        findings.append(Finding("5", f"{service} parked nothing", handled, left))
    return findings


async def priorities(
    connection: asyncpg.Connection,
    kills: Sequence[float],
    claim_silence: float,
    *,
    round_trip: float,
) -> Finding:
    """Return what invariant 6 says, kills and their aftermath excepted.

    `round_trip`: the longest that a question to a service took while priorities were at stake.
    """
    aftermath = claim_silence + AFTERMATH_SECONDS
    slack = PRIORITY_SLACK_SECONDS + PRIORITY_ROUND_TRIPS * round_trip
    broken = await rows(
        connection,
        "SELECT r.order_id, p.order_id AS waited, r.started_at - p.placed_at AS long, r.server, "  # noqa: S608 - constant
        "p.server AS other FROM billing.orders r JOIN billing.orders p "
        "ON p.pool = r.pool AND p.lane = 'priority' AND r.lane = 'regular' "
        "WHERE r.started_at IS NOT NULL AND p.started_at > r.started_at "
        "AND p.placed_at < r.started_at - $1::float8 * interval '1 second' "
        f"AND {_CALM.format(kills='$2', after='$3')}",
        slack,
        list(kills),
        aftermath,
    )
    looked_at = await count(
        connection,
        "SELECT count(*) FROM billing.orders p WHERE lane = 'priority' "  # noqa: S608 - constant
        f"AND started_at IS NOT NULL AND {_CALM.format(kills='$1', after='$2')}",
        list(kills),
        aftermath,
    )
    return Finding("6", "no regular job started before a waiting priority job", looked_at, broken)
