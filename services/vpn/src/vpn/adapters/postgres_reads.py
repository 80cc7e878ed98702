"""What people and apps are shown of access, in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis.clock import Clock
from chassis.database import Database
from contracts.ids import UserId
from vpn.adapters.postgres_subscriptions import link_hash
from vpn.domain.links import LinkView, NodeLink
from vpn.domain.plans import serves
from vpn.domain.terms import Terms
from vpn.ports.registry import DOWN, STATE_ACTIVE, STATE_DRAINING, NodeConfig

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
                "SELECT s.*, p.trial_used, p.reminders, COALESCE((SELECT max(addresses) "
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
                "SELECT s.*, p.language, d.expires_at AS passes_until FROM subscriptions s "
                "JOIN people p USING (user_id) LEFT JOIN desired d "
                "ON d.subscription_id = s.id AND d.removed_for IS NULL WHERE s.link_hash = $1",
                link_hash(token),
            )
            if row is None:
                return None
            states = await connection.fetch(
                "SELECT name, state, health <> $1 OR seen_at > $2 AS answers FROM nodes",
                DOWN,
                self._clock.now() - SILENCE_MAX,
            )
        found = {each["name"]: (each["state"], bool(each["answers"])) for each in states}
        return self._view(row, found)

    def _view(self, row: Mapping[str, Any], states: Mapping[str, tuple[str, bool]]) -> LinkView:
        now, since = self._clock.now(), row["devices_over_since"]
        renews = row["auto_renew"] and not row["trial"] and now < row["until"]
        return LinkView(
            state=row["state"],
            plan_title_key=row["plan"],
            until=row["until"],
            key=row["key"],
            nodes=self._links(row["set_id"], states),
            # What nodes hold decides: with grace they pass on before the end was even processed.
            grace_until=row["passes_until"] or row["grace_until"],
            language=row["language"],
            download_bytes=row["used_bytes"],
            limit_bytes=row["limit_bytes"] or 0,
            devices=row["devices"],
            devices_over=since is not None and now - since >= self._terms.devices_grace,
            refill_at=row["until"] if renews and row["limit_bytes"] is not None else None,
        )

    def _links(self, set_id: str, states: Mapping[str, tuple[str, bool]]) -> tuple[NodeLink, ...]:
        """Nodes of the set, the best there are: those that answer, and active before draining.

        Until it is off a draining node serves whoever has access: better it than none.
        """
        for wanted in (
            (STATE_ACTIVE, True),
            (STATE_DRAINING, True),
            (STATE_ACTIVE, False),
            (STATE_DRAINING, False),
        ):
            found = tuple(
                node.shown
                for name, node in self._nodes.items()
                if states.get(name) == wanted and serves(set_id, node.region)
            )
            if found:
                return found
        return ()
