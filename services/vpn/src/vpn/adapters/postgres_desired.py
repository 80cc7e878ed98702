"""What nodes should hold, in Postgres: generations in the order of commits, hashes kept up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from chassis.database import Connection, Database
from vpn.domain.access import Subscription
from vpn.domain.desired import Entry
from vpn.domain.plans import serves
from vpn.domain.set_hash import MODULUS, SetHash, digest
from vpn.ports import Wanted
from vpn.ports.desired import Drifted, Head, Since

_CHANGED = (
    "SELECT subscription_id, set_id, key, expires_at, flow, removed_for, changed_at FROM desired "
)


class PostgresDesired:
    """Implements ports.DesiredSet, inside the transaction that changes access."""

    async def change(
        self, connection: Connection, wanted: Sequence[Wanted], now: datetime
    ) -> int | None:
        rows = await connection.fetch(
            "SELECT subscription_id, set_id, digest, removed_for FROM desired "
            "WHERE subscription_id = ANY($1)",
            [each.subscription_id for each in wanted],
        )
        live = {
            row["subscription_id"]: (row["set_id"], int(row["digest"]))
            for row in rows
            if row["removed_for"] is None
        }
        sums: dict[str, int] = defaultdict(int)
        counts: dict[str, int] = defaultdict(int)
        put: list[tuple[Wanted, Entry, int]] = []
        removed: list[Wanted] = []
        for each in wanted:
            before = live.get(each.subscription_id)
            share = digest(each.entry) if each.entry is not None else 0
            after = (each.set_id, share) if each.entry is not None else None
            if before == after:
                continue
            if before is not None:
                sums[before[0]] -= before[1]
                counts[before[0]] -= 1
            if each.entry is not None:
                sums[each.set_id] += share
                counts[each.set_id] += 1
                put.append((each, each.entry, share))
            else:
                removed.append(each)
        if not put and not removed:
            return None
        # Locked from here to the commit: whoever comes next gets the next generation.
        generation: int = await connection.fetchval(
            "UPDATE desired_head SET generation = generation + 1 RETURNING generation"
        )
        await _put(connection, put, generation, now)
        await connection.execute(
            "UPDATE desired SET generation = $3, changed_at = $4, removed_for = r.reason "
            "FROM unnest($1::uuid[], $2::text[]) AS r (id, reason) WHERE subscription_id = r.id",
            [each.subscription_id for each in removed],
            [each.reason for each in removed],
            generation,
            now,
        )
        await _keep_sums(connection, sums, counts)
        return generation

    async def rotated(
        self, connection: Connection, one: Subscription, *, link_too: bool, now: datetime
    ) -> None:
        await connection.execute(
            "INSERT INTO rotations (subscription_id, user_id, generation, link_too, asked_at) "
            "SELECT $1, $2, generation, $3, $4 FROM desired_head "
            "ON CONFLICT (subscription_id) DO UPDATE SET generation = excluded.generation, "
            "link_too = rotations.link_too OR excluded.link_too, asked_at = excluded.asked_at, "
            "told_waiting = NULL",
            one.id,
            one.user_id,
            link_too,
            now,
        )


async def _put(
    connection: Connection,
    put: Sequence[tuple[Wanted, Entry, int]],
    generation: int,
    now: datetime,
) -> None:
    if not put:
        return
    await connection.execute(
        "INSERT INTO desired (subscription_id, set_id, key, expires_at, flow, digest, "
        "generation, changed_at) SELECT *, $7, $8 FROM unnest($1::uuid[], $2::text[], "
        "$3::uuid[], $4::timestamptz[], $5::text[], $6::numeric[]) "
        "ON CONFLICT (subscription_id) DO UPDATE SET set_id = excluded.set_id, "
        "key = excluded.key, expires_at = excluded.expires_at, flow = excluded.flow, "
        "digest = excluded.digest, generation = excluded.generation, "
        "changed_at = excluded.changed_at, removed_for = NULL",
        [each.subscription_id for each, _, _ in put],
        [each.set_id for each, _, _ in put],
        [entry.key for _, entry, _ in put],
        [entry.expires_at for _, entry, _ in put],
        [entry.flow for _, entry, _ in put],
        [Decimal(share) for _, _, share in put],
        generation,
        now,
    )


async def _keep_sums(connection: Connection, sums: dict[str, int], counts: dict[str, int]) -> None:
    ids = sorted(sums)
    await connection.execute(
        "INSERT INTO node_sets (id, entries, digest_sum) SELECT id, 0, 0 "
        "FROM unnest($1::text[]) AS s (id) ON CONFLICT DO NOTHING",
        ids,
    )
    await connection.execute(
        "UPDATE node_sets SET entries = entries + c, digest_sum = mod(digest_sum + d, $4) "
        "FROM unnest($1::text[], $2::bigint[], $3::numeric[]) AS s (set_id, c, d) "
        "WHERE id = set_id",
        ids,
        [counts[each] for each in ids],
        [Decimal(sums[each] % MODULUS) for each in ids],
        Decimal(MODULUS),
    )


class DesiredReads:
    """What pushers and reconcile read: always one snapshot, so that a hash fits its generation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, region: str) -> Head:
        """Generation, hash and size of what the nodes of a region should hold."""
        async with self._database.read() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _head(connection, region)

    async def since(self, region: str, generation: int) -> Since:
        """What changed after a generation; what went to other regions' sets counts as removed."""
        async with self._database.read() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                head = await _head(connection, region)
                rows = await connection.fetch(_CHANGED + "WHERE generation > $1", generation)
        put, remove = [], []
        for row in rows:
            if row["removed_for"] is None and serves(row["set_id"], region):
                put.append(_entry(row))
            else:
                remove.append(str(row["subscription_id"]))
        newest = max((row["changed_at"] for row in rows), default=None)
        return Since(head, tuple(put), tuple(remove), newest)

    async def all(self, region: str) -> tuple[Head, list[Entry]]:
        """The whole set of a region."""
        async with self._database.read() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                head = await _head(connection, region)
                rows = await connection.fetch(
                    _CHANGED + "WHERE removed_for IS NULL AND set_id = ANY($1)", list(head.sets)
                )
        return head, [_entry(row) for row in rows]

    async def known(self, ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Which ids we ever issued, and whether their removal is recorded."""
        async with self._database.read() as connection:
            rows = await connection.fetch(
                "SELECT s.id, d.subscription_id IS NULL OR d.removed_for IS NOT NULL AS gone, "
                "s.state IN ('suspended', 'ended') AS off "
                "FROM subscriptions s LEFT JOIN desired d ON d.subscription_id = s.id "
                "WHERE s.id = ANY($1)",
                ids,
            )
        return {row["id"]: bool(row["gone"] and row["off"]) for row in rows}

    async def raise_generation(self, least: int) -> None:
        """Go above what a node holds: this database is older than the node (it was restored)."""
        async with self._database.read() as connection:
            await connection.execute(
                "UPDATE desired_head SET generation = $1 WHERE generation < $1", least
            )

    async def audit(self) -> Drifted:
        """Whether the sums kept with every change are those of the rows themselves."""
        async with self._database.read() as connection:
            rows = await connection.fetch(
                "SELECT COALESCE(d.set_id, n.id) AS id, COALESCE(d.c, 0) AS c, "
                "COALESCE(d.s, 0) AS s, COALESCE(n.entries, 0) AS entries, "
                "COALESCE(n.digest_sum, 0) AS digest_sum FROM (SELECT set_id, count(*) AS c, "
                "sum(digest) AS s FROM desired WHERE removed_for IS NULL GROUP BY set_id) d "
                "FULL JOIN node_sets n ON n.id = d.set_id"
            )
        return tuple(
            row["id"]
            for row in rows
            if row["c"] != row["entries"] or int(row["s"]) % MODULUS != int(row["digest_sum"])
        )

    async def forget_removed(self, before: datetime, confirmed: int) -> int:
        """Delete records of removals that are old and that every node confirmed."""
        async with self._database.read() as connection:
            status = await connection.execute(
                "DELETE FROM desired WHERE removed_for IS NOT NULL AND changed_at < $1 "
                "AND generation <= $2",
                before,
                confirmed,
            )
        return int(status.split()[-1])


async def _head(connection: Connection, region: str) -> Head:
    generation: int = await connection.fetchval("SELECT generation FROM desired_head")
    rows = await connection.fetch("SELECT id, entries, digest_sum FROM node_sets")
    mine = [row for row in rows if serves(row["id"], region)]
    total = SetHash(sum(int(row["digest_sum"]) for row in mine))
    return Head(
        generation,
        total.hex(),
        sum(row["entries"] for row in mine),
        tuple(row["id"] for row in mine),
    )


def _entry(row: dict[str, object]) -> Entry:
    return Entry(str(row["subscription_id"]), row["key"], row["expires_at"], row["flow"])  # type: ignore[arg-type]
