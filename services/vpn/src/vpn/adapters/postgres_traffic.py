"""Traffic and devices in Postgres: absolute counters per node, and who is connected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from chassis.database import Connection
from contracts.ids import UserId
from vpn.ports.traffic import Counted


class PostgresTraffic:
    """Implements ports.traffic.Traffic."""

    async def counted(self, connection: Connection, node: str, seen: Mapping[UUID, int]) -> Counted:
        """Record absolute counters of one node; say what each added since the last time.

        A counter below the last one is that of a restored or new disk: what it counted since is not
        known, and nobody pays twice, so it is only where counting goes on. The same page again adds
        nothing.
        """
        ids = sorted(seen)
        before = await connection.fetch(
            "SELECT subscription_id, bytes FROM traffic_counters "
            "WHERE node = $1 AND subscription_id = ANY($2) ORDER BY subscription_id FOR UPDATE",
            node,
            ids,
        )
        last = {row["subscription_id"]: row["bytes"] for row in before}
        changed = [each for each in ids if last.get(each) != seen[each]]
        await connection.execute(
            "INSERT INTO traffic_counters SELECT $1, * FROM unnest($2::uuid[], $3::bigint[]) "
            "ON CONFLICT (node, subscription_id) DO UPDATE SET bytes = excluded.bytes",
            node,
            changed,
            [seen[each] for each in changed],
        )
        steps = {each: seen[each] - last.get(each, 0) for each in changed}
        return Counted(
            {each: max(step, 0) for each, step in steps.items()},
            fallen=-sum(step for step in steps.values() if step < 0),
        )

    async def connected(
        self, connection: Connection, node: str, addresses: Mapping[UUID, int], now: datetime
    ) -> None:
        """Replace what is known of who is connected to one node."""
        await connection.execute("DELETE FROM online WHERE node = $1", node)
        here = {each: count for each, count in addresses.items() if count > 0}
        await connection.execute(
            "INSERT INTO online SELECT $1, *, $4 FROM unnest($2::uuid[], $3::int[])",
            node,
            list(here),
            list(here.values()),
            now,
        )

    async def over_limit(
        self, connection: Connection, now: datetime, fresh: timedelta, limit: int
    ) -> dict[UserId, int]:
        """User id and addresses of whoever has more than allowed, or had and has no longer."""
        rows = await connection.fetch(
            "SELECT s.user_id, COALESCE(o.addresses, 0)::int AS addresses FROM subscriptions s "
            "LEFT JOIN (SELECT subscription_id, sum(addresses) AS addresses FROM online "
            " WHERE seen_at > $1 GROUP BY 1) o ON o.subscription_id = s.id "
            "WHERE s.state IN ('active', 'grace') AND s.devices > 0 "
            "AND (o.addresses > s.devices OR s.devices_over_since IS NOT NULL) "
            "ORDER BY s.user_id LIMIT $2",
            now - fresh,
            limit,
        )
        return {row["user_id"]: row["addresses"] for row in rows}
