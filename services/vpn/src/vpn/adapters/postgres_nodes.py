"""Nodes in Postgres: what operators decided, how each is, alarms, comparisons, confirmations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis import logs
from chassis.database import Connection, Database
from chassis.outbox import UnitOfWork
from contracts import errors
from contracts.ids import SubscriptionId, UserId
from contracts.vpn import KeyRotated, NodeAlarmed, NodeDrift
from vpn.ports.keeping import NodeRow, Seen
from vpn.ports.registry import NodeConfig

log = logs.get("vpn.nodes")
LEFT_THE_FILE = "file of nodes"


class PostgresNodes:
    """Implements ports.NodeStates."""

    async def set_state(
        self, connection: Connection, node: str, state: str, actor: str, reason: str, now: datetime
    ) -> bool:
        # Off, it may miss anything: switched on again it is compared from the start. It is waited
        # for until it holds nobody; of one that is gone an operator says that it never will again.
        # One that left the file has no keeper: nothing could be sold on it.
        status = await connection.execute(
            "UPDATE nodes SET state = CASE WHEN $2 = 'gone' THEN 'off' ELSE $2 END, "
            "emptied = $2 = 'gone', state_actor = $3, state_reason = $4, state_at = $5, "
            "generation = CASE WHEN $2 IN ('off', 'gone') THEN 0 ELSE generation END, "
            "hash = CASE WHEN $2 IN ('off', 'gone') THEN '' ELSE hash END WHERE name = $1 "
            "AND ($2 IN ('off', 'gone') OR state_actor <> $6)",
            node,
            state,
            actor,
            reason,
            now,
            LEFT_THE_FILE,
        )
        return bool(status == "UPDATE 1")

    async def active_regions(self, connection: Connection) -> set[str]:
        rows = await connection.fetch("SELECT region FROM nodes WHERE state = 'active'")
        return {row["region"] for row in rows}


class NodeKeeping:
    """Implements ports.keeping.Keeping: each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, nodes: Sequence[NodeConfig]) -> None:
        """Make the table that of the file; what operators decided about a node is kept.

        One that left the file is off. It is forgotten when it is known to hold nobody. A file
        without any is taken for a mistake: on another replica's word it would cut everybody.
        """
        if not nodes:
            log.error("file_of_nodes_is_empty")
            return
        async with self._database.read() as connection:
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO nodes (name, region) SELECT * FROM unnest($1::text[], $2::text[]) "
                    "ON CONFLICT (name) DO UPDATE SET region = excluded.region, "
                    "generation = CASE WHEN nodes.region = excluded.region THEN nodes.generation "
                    "ELSE 0 END, hash = CASE WHEN nodes.region = excluded.region THEN nodes.hash "
                    "ELSE '' END, state = CASE WHEN nodes.state_actor = $3 THEN 'active' "
                    "ELSE nodes.state END, state_actor = CASE WHEN nodes.state_actor = $3 THEN '' "
                    "ELSE nodes.state_actor END",
                    [each.name for each in nodes],
                    [each.region for each in nodes],
                    LEFT_THE_FILE,
                )
                names = [each.name for each in nodes]
                await connection.execute(
                    "DELETE FROM nodes WHERE name <> ALL($1) AND state = 'off' AND emptied", names
                )
                left = await connection.fetch(
                    "UPDATE nodes SET health = 'down', detail = 'not in the file of nodes', "
                    "emptied = false, generation = 0, hash = '', "
                    "state_actor = CASE WHEN state = 'off' THEN state_actor ELSE $2 END, "
                    "state = 'off' WHERE name <> ALL($1) RETURNING name",
                    names,
                    LEFT_THE_FILE,
                )
                # Nobody keeps it: its alarms end with that, and are told anew should it come back.
                await connection.execute("DELETE FROM node_alarms WHERE node <> ALL($1)", names)
        for row in left:
            log.warning("node_left_the_file_with_people", node=row["name"])

    async def row(self, node: str) -> NodeRow | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(
                "SELECT state, health, generation, hash, boot_id, uptime_seconds, emptied "
                "FROM nodes "
                "WHERE name = $1",
                node,
            )
        return None if row is None else NodeRow(*row)

    async def rows(self) -> list[dict[str, Any]]:
        async with self._database.read() as connection:
            rows = await connection.fetch("SELECT * FROM nodes ORDER BY name")
        return [dict(row.items()) for row in rows]

    async def seen(self, node: str, seen: Seen) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "UPDATE nodes SET health = $2, detail = $3, core = $4, boot_id = $5, "
                "uptime_seconds = $6, entries = $7, seen_at = COALESCE($8, seen_at) "
                "WHERE name = $1",
                node,
                seen.health,
                seen.detail,
                seen.core,
                seen.boot_id,
                seen.uptime_seconds,
                seen.entries,
                seen.at,
            )

    async def confirmed(self, node: str, generation: int, hash_: str) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "UPDATE nodes SET generation = $2, hash = $3 WHERE name = $1",
                node,
                generation,
                hash_,
            )

    async def emptied(self, node: str, *, emptied: bool) -> None:
        """It is off and holds nobody of ours; or, not emptied, it does again."""
        async with self._database.read() as connection:
            await connection.execute(
                "UPDATE nodes SET emptied = $2 WHERE name = $1 AND state = 'off'", node, emptied
            )

    async def all_confirmed(self) -> int:
        """The generation that every node in use has confirmed."""
        async with self._database.read() as connection:
            least: int | None = await connection.fetchval(
                "SELECT min(generation) FROM nodes WHERE state <> 'off'"
            )
        return least or 0

    async def drifted(
        self, drift: NodeDrift, *, dry_run: bool, at: datetime, seconds: float
    ) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "INSERT INTO node_drifts VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
                "ON CONFLICT (node, dry_run) DO UPDATE SET at = $3, seconds = $4, missing = $5, "
                'extra = $6, "foreign" = $7, mended = $8, held_back = $9',
                drift.node,
                dry_run,
                at,
                seconds,
                drift.missing,
                drift.extra,
                drift.foreign,
                drift.mended,
                drift.held_back,
            )

    async def drifts(self, *, dry_run: bool) -> list[dict[str, Any]]:
        async with self._database.read() as connection:
            rows = await connection.fetch(
                "SELECT d.* FROM node_drifts d JOIN nodes n ON n.name = d.node "
                "WHERE dry_run = $1 ORDER BY node",
                dry_run,
            )
        return [dict(row.items()) for row in rows]

    async def health_of(self) -> dict[str, str]:
        async with self._database.read() as connection:
            rows = await connection.fetch("SELECT name, health FROM nodes WHERE state <> 'off'")
        return {row["name"]: row["health"] for row in rows}


async def raise_alarm(uow: UnitOfWork, node: str, code: str, detail: str) -> bool:
    """Alarm operators once, until it is cleared; return whether it is new."""
    status = await uow.connection.execute(
        "INSERT INTO node_alarms VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        node,
        code,
        detail,
        uow.now,
    )
    if status != "INSERT 0 1":
        return False
    uow.emit(NodeAlarmed(node=node, code=code, detail=detail))
    return True


async def clear_alarm(uow: UnitOfWork, node: str, code: str) -> bool:
    """Forget an alarm, so that the next is told again; that a node is back is told too."""
    status = await uow.connection.execute(
        "DELETE FROM node_alarms WHERE node = $1 AND code = $2", node, code
    )
    if status != "DELETE 1":
        return False
    if code == errors.NODE_DOWN:
        uow.emit(NodeAlarmed(node=node, code=errors.NODE_UP))
    return True


async def alarms_of(connection: Connection, node: str) -> set[str]:
    rows = await connection.fetch("SELECT code FROM node_alarms WHERE node = $1", node)
    return {row["code"] for row in rows}


async def tell_rotated(uow: UnitOfWork, patience: timedelta) -> int:
    """Tell who asked for a new key that the old one is dead: on every node, or on all reachable.

    With some unreachable it is told once unconfirmed, and again when they have confirmed.
    """
    rows = await uow.connection.fetch(
        "SELECT r.*, w.waiting, w.reachable FROM rotations r, LATERAL ("
        " SELECT count(*)::int AS waiting, (count(*) FILTER (WHERE health <> 'down'))::int "
        " AS reachable FROM nodes WHERE CASE state WHEN 'off' THEN NOT emptied "
        " ELSE generation < r.generation END) w "
        "WHERE w.waiting = 0 OR (r.told_waiting IS NULL AND (w.reachable = 0 "
        "OR r.asked_at < $1)) "
        "ORDER BY r.subscription_id LIMIT 500 FOR UPDATE OF r SKIP LOCKED",
        uow.now - patience,
    )
    for row in rows:
        waiting: int = row["waiting"]
        event = KeyRotated(
            user_id=UserId(row["user_id"]),
            subscription_id=SubscriptionId(row["subscription_id"]),
            confirmed=waiting == 0,
            waiting_nodes=waiting,
            link_too=row["link_too"],
        )
        uow.emit(event)
        await uow.connection.execute(
            "DELETE FROM rotations WHERE subscription_id = $1"
            if waiting == 0
            else "UPDATE rotations SET told_waiting = 1 WHERE subscription_id = $1",
            row["subscription_id"],
        )
    return len(rows)
