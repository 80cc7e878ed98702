"""What people and apps are shown of access, in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chassis.clock import Clock
from chassis.database import Database
from contracts.ids import UserId
from vpn.adapters.postgres_subscriptions import link_hash
from vpn.domain.links import LinkView, NodeLink
from vpn.domain.plans import serves
from vpn.domain.terms import Terms
from vpn.ports.registry import DOWN, STATE_ACTIVE, NodeConfig

ONLINE_FRESH = timedelta(minutes=5)
SILENCE_MAX = timedelta(seconds=30)
"""Apps read a link twice a day: a node that is just being restarted must not vanish from it."""


class PostgresReads:
    """Implements ports.reads.Reads and ports.links.Links, each by one query, on one connection."""

    def __init__(
        self, database: Database, nodes: Mapping[str, NodeConfig], terms: Terms, clock: Clock
    ) -> None:
        self._database = database
        self._nodes = nodes
        self._terms = terms
        self._clock = clock

    async def access(self, user_id: UserId) -> dict[str, Any] | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(
                "SELECT s.*, p.trial_used, p.reminders, COALESCE((SELECT sum(addresses) "
                "FROM online WHERE subscription_id = s.id AND seen_at > $2), 0)::int AS online "
                "FROM people p LEFT JOIN subscriptions s USING (user_id) WHERE p.user_id = $1",
                user_id,
                self._clock.now() - ONLINE_FRESH,
            )
        return None if row is None else dict(row.items())

    async def states(self) -> dict[str, tuple[str, str]]:
        """State and health of every node."""
        async with self._database.read() as connection:
            rows = await connection.fetch("SELECT name, state, health FROM nodes ORDER BY name")
        return {row["name"]: (row["state"], row["health"]) for row in rows}

    async def by_token(self, token: str) -> LinkView | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM subscriptions WHERE link_hash = $1", link_hash(token)
            )
            if row is None:
                return None
            states = await connection.fetch(
                "SELECT name, state, health <> $1 OR seen_at > $2 AS answers FROM nodes",
                DOWN,
                self._clock.now() - SILENCE_MAX,
            )
        found = {each["name"]: (each["state"], bool(each["answers"])) for each in states}
        since: datetime | None = row["devices_over_since"]
        return LinkView(
            state=row["state"],
            plan_title_key=row["plan"],
            until=row["until"],
            key=row["key"],
            nodes=self._links(row["set_id"], found),
            grace_until=row["grace_until"],
            download_bytes=row["used_bytes"],
            limit_bytes=row["limit_bytes"] or 0,
            devices=row["devices"],
            devices_over=since is not None
            and self._clock.now() - since >= self._terms.devices_grace,
        )

    def _links(self, set_id: str, states: Mapping[str, tuple[str, bool]]) -> tuple[NodeLink, ...]:
        """Nodes of the set that new links may name: those that answer, unless none does."""
        mine = [
            (node.shown, states[name][1])
            for name, node in self._nodes.items()
            if name in states and states[name][0] == STATE_ACTIVE and serves(set_id, node.region)
        ]
        answering = tuple(link for link, answers in mine if answers)
        return answering or tuple(link for link, _ in mine)
