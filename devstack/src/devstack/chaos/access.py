"""What invariants 2, 3 and 7 say of VPN access: billing's books held against vpn's."""

import asyncpg

from devstack.chaos.findings import Finding, count, rows

_DIGESTS = "340282366920938463463374607431768211456"
"""2^128: what the sum of the entries' digests is kept modulo of."""


async def access(connection: asyncpg.Connection) -> list[Finding]:
    orders = await count(connection, "SELECT count(*) FROM billing.orders WHERE pool = 'vpn'")
    given = await rows(
        connection,
        "SELECT coalesce(o.order_id, g.order_id) AS order_id, o.state, g.revoked_at "
        "FROM (SELECT * FROM billing.orders WHERE pool = 'vpn') o "
        "FULL JOIN vpn.grants g USING (order_id) "
        "WHERE (coalesce(o.state, '') = 'completed') "
        "<> (g.order_id IS NOT NULL AND g.revoked_at IS NULL)",
    )
    grants = await count(connection, "SELECT count(*) FROM vpn.grants WHERE revoked_at IS NULL")
    # Each purchase begins where the one before it ends, or when it was made: to the second, for
    # nodes are told whole ones.
    extended = await rows(
        connection,
        "WITH chain AS (SELECT subscription_id, order_id, until, until - span AS begins, given_at, "
        " lag(until) OVER (PARTITION BY subscription_id ORDER BY until, given_at) AS before "
        " FROM vpn.grants WHERE revoked_at IS NULL)"
        "SELECT order_id, begins, before FROM chain WHERE begins NOT BETWEEN "
        "greatest(before, given_at) - interval '1 s' "
        "AND greatest(before, given_at) + interval '1 s' "
        "AND begins < until "
        "UNION ALL SELECT s.id, s.until, max(g.until) FROM vpn.subscriptions s "
        "JOIN vpn.grants g ON g.subscription_id = s.id AND g.revoked_at IS NULL "
        "GROUP BY s.id, s.until HAVING s.until <> max(g.until)",
    )
    return [
        Finding("3", "access is charged if and only if it is given", orders, given),
        Finding("3", "a subscription runs for what was bought, once", grants, extended),
        *await _desired(connection),
    ]


async def _desired(connection: asyncpg.Connection) -> list[Finding]:
    subscriptions = await count(connection, "SELECT count(*) FROM vpn.subscriptions")
    differ = await rows(
        connection,
        "SELECT coalesce(s.id, d.subscription_id) AS id, s.state, s.until, d.removed_for, "
        "d.expires_at FROM vpn.subscriptions s "
        "FULL JOIN (SELECT * FROM vpn.desired WHERE removed_for IS NULL) d "
        "ON d.subscription_id = s.id "
        "WHERE (coalesce(s.state, '') IN ('active', 'grace')) <> (d.subscription_id IS NOT NULL) "
        "OR d.key <> s.key OR d.set_id <> s.set_id OR d.expires_at < s.until",
    )
    sets = await count(connection, "SELECT count(*) FROM vpn.node_sets")
    sums = await rows(
        connection,
        "SELECT id, n.entries, d.entries AS counted FROM vpn.node_sets n FULL JOIN ("  # noqa: S608 - constant
        " SELECT set_id AS id, count(*) AS entries, sum(digest) AS digest_sum FROM vpn.desired "
        " WHERE removed_for IS NULL GROUP BY set_id) d USING (id) "
        "WHERE (coalesce(n.entries, 0), coalesce(n.digest_sum, 0)) IS DISTINCT FROM "
        f"(coalesce(d.entries, 0), coalesce(mod(d.digest_sum, {_DIGESTS}), 0))",
    )
    return [
        Finding(
            "7", "nodes are to hold whoever has access, with the right key", subscriptions, differ
        ),
        Finding("7", "the hash of what nodes are to hold is its sum", sets, sums),
    ]
