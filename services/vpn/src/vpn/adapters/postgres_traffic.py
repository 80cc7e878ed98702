"""Traffic and devices in Postgres: absolute counters per node, and who is connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis.database import Connection
from contracts.ids import UserId
from vpn.domain.terms import Terms
from vpn.ports.traffic import Counted


class PostgresTraffic:
    """Implements ports.traffic.Traffic."""

    async def counted(
        self, connection: Connection, node: str, seen: Mapping[UUID, int], *, epoch: str
    ) -> Counted:
        """Record absolute counters of one node; say what each added since the last time.

        A counter below the last one is that of a restored disk, a counter of another epoch that of
        another disk: what it counted until now is not known, and nobody pays twice, so it is only
        where counting goes on. The same page again adds nothing. What a disk had counted is kept:
        it may come back, here or as another node.
        """
        ids = sorted(seen)
        rows = await connection.fetch(
            "SELECT subscription_id, bytes, epoch FROM traffic_counters "
            "WHERE node = $1 AND subscription_id = ANY($2) ORDER BY subscription_id FOR UPDATE",
            node,
            ids,
        )
        before = {row[0]: (row[1], row[2]) for row in rows}
        last = {
            each: count
            for each, (count, of) in before.items()
            if of == epoch or not of or not epoch
        }
        if unmet := [each for each in ids if epoch and each not in last]:
            other = [each for each in unmet if each in before]
            await _keep(connection, node, other)
            # Of another disk, and this one was never met: counting begins with this reading.
            last |= {each: seen[each] for each in other}
            last |= await _met(connection, unmet, epoch)
        changed = [
            each
            for each in ids
            if last.get(each) != seen[each] or (epoch and before.get(each, (0, ""))[1] != epoch)
        ]
        await connection.execute(
            "INSERT INTO traffic_counters (node, subscription_id, bytes, epoch) "
            "SELECT $1, *, $4 FROM unnest($2::uuid[], $3::bigint[]) "
            "ON CONFLICT (node, subscription_id) DO UPDATE SET bytes = excluded.bytes, "
            "epoch = COALESCE(NULLIF(excluded.epoch, ''), traffic_counters.epoch)",
            node,
            changed,
            [seen[each] for each in changed],
            epoch,
        )
        steps = {each: seen[each] - last.get(each, 0) for each in changed}
        return Counted(
            {each: step for each, step in steps.items() if step > 0},
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
        self, connection: Connection, now: datetime, fresh: timedelta, terms: Terms
    ) -> dict[UserId, int]:
        """User id and devices of whoever goes over their limit, is back under it, or is to be told.

        Nobody else, so that a page of these is never the same people again. One device may have
        connections to many nodes: as many as on one node there are at least.
        """
        rows = await connection.fetch(
            "SELECT s.user_id, COALESCE(o.addresses, 0)::int AS addresses FROM subscriptions s "
            "LEFT JOIN (SELECT subscription_id, max(addresses) AS addresses FROM online "
            " WHERE seen_at > $1 GROUP BY 1) o ON o.subscription_id = s.id "
            "WHERE s.state IN ('active', 'grace') "
            "AND CASE WHEN s.devices > 0 AND o.addresses > s.devices "
            "THEN s.devices_over_since IS NULL OR s.devices_over_since <= $2 "
            " AND (s.devices_told_at IS NULL OR s.devices_told_at <= $3) "
            "ELSE s.devices_over_since IS NOT NULL END "
            "ORDER BY s.user_id LIMIT $4",
            now - fresh,
            now - terms.devices_grace,
            now - terms.devices_notice_every,
            terms.rows_max,
        )
        return {row["user_id"]: row["addresses"] for row in rows}


async def _keep(connection: Connection, node: str, ids: Sequence[UUID]) -> None:
    """Remember what a disk had counted before another took its place."""
    await connection.execute(
        "INSERT INTO traffic_past (subscription_id, epoch, node, bytes) "
        "SELECT subscription_id, epoch, node, bytes FROM traffic_counters "
        "WHERE node = $1 AND subscription_id = ANY($2) "
        "ON CONFLICT (subscription_id, epoch, node) DO UPDATE SET bytes = excluded.bytes",
        node,
        ids,
    )


async def _met(connection: Connection, ids: Sequence[UUID], epoch: str) -> dict[UUID, int]:
    """What a disk had counted when it was last read, as whatever node."""
    rows = await connection.fetch(
        "SELECT subscription_id, max(bytes) FROM (SELECT subscription_id, bytes FROM traffic_past "
        "WHERE epoch = $1 AND subscription_id = ANY($2) UNION ALL "
        "SELECT subscription_id, bytes FROM traffic_counters "
        "WHERE epoch = $1 AND epoch <> '' AND subscription_id = ANY($2)) AS t "
        "GROUP BY subscription_id",
        epoch,
        ids,
    )
    return {row[0]: row[1] for row in rows}
