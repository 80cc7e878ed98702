"""People, subscriptions and what orders gave, in Postgres."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis.database import Connection
from contracts.ids import OrderId, SubscriptionId, UserId
from vpn.domain.access import Given, Subscription
from vpn.ports import Grant, Person

COLUMNS = {
    "id": "uuid",
    "user_id": "bigint",
    "until": "timestamptz",
    "state": "text",
    "plan": "text",
    "set_id": "text",
    "key": "uuid",
    "link": "text",
    "grace_until": "timestamptz",
    "delete_at": "timestamptz",
    "trial": "boolean",
    "auto_renew": "boolean",
    "devices": "integer",
    "limit_bytes": "bigint",
    "used_bytes": "bigint",
    "traffic_told": "smallint",
    "last_order": "uuid",
    "renew_for": "timestamptz",
    "renew_attempts": "integer",
    "renew_next_at": "timestamptz",
    "short_for": "timestamptz",
    "short_told": "boolean",
    "reminded_for": "timestamptz",
    "reminded_left": "integer",
    "devices_over_since": "timestamptz",
    "devices_told_at": "timestamptz",
    "version": "bigint",
    "due_at": "timestamptz",
    "timer_version": "bigint",
}
"""Of the table, and attributes of the same name."""
_PERSON = ("trial_used", "reminders", "time_zone")
_LOAD = (
    f"SELECT {', '.join(f's.{name}' for name in COLUMNS)}, "  # noqa: S608 - names of our own
    f"{', '.join(f'p.{name}' for name in _PERSON)} "
    "FROM subscriptions s JOIN people p USING (user_id) WHERE user_id = ANY($1)"
)
_CHANGING = [name for name in COLUMNS if name not in ("id", "user_id")]
_SAVE = (
    f"INSERT INTO subscriptions ({', '.join(COLUMNS)}, link_hash, created_at) "  # noqa: S608
    f"SELECT *, ${len(COLUMNS) + 2} FROM unnest("
    f"{', '.join(f'${n}::{kind}[]' for n, kind in enumerate(COLUMNS.values(), start=1))}, "
    f"${len(COLUMNS) + 1}::bytea[]) ON CONFLICT (id) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _CHANGING)}, "
    "link_hash = excluded.link_hash"
)


def link_hash(token: str) -> bytes:
    """What a link is looked up by, so that no comparison's duration tells anything of it."""
    return hashlib.sha256(token.encode()).digest()


class PostgresSubscriptions:
    """Implements ports.Subscriptions."""

    async def lock(self, connection: Connection, user_ids: Sequence[UserId]) -> None:
        if not user_ids:
            return
        await connection.execute(
            "INSERT INTO people (user_id) SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING",
            sorted(user_ids),
        )
        await connection.fetch(
            "SELECT FROM people WHERE user_id = ANY($1) ORDER BY user_id FOR UPDATE", user_ids
        )

    async def lock_free(self, connection: Connection, user_ids: Sequence[UserId]) -> list[UserId]:
        rows = await connection.fetch(
            "SELECT user_id FROM people WHERE user_id = ANY($1) ORDER BY user_id "
            "FOR UPDATE SKIP LOCKED",
            user_ids,
        )
        return [row["user_id"] for row in rows]

    async def load(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, Subscription]:
        rows = await connection.fetch(_LOAD, user_ids)
        return {row["user_id"]: Subscription(**dict(row.items())) for row in rows}

    async def people(
        self, connection: Connection, user_ids: Sequence[UserId]
    ) -> dict[UserId, Person]:
        rows = await connection.fetch(
            "SELECT user_id, trial_used, reminders, time_zone FROM people WHERE user_id = ANY($1)",
            user_ids,
        )
        return {row["user_id"]: Person(row[1], row[2], row[3]) for row in rows}

    async def save(
        self, connection: Connection, many: Sequence[Subscription], now: datetime
    ) -> None:
        if not many:
            return
        columns = [[getattr(one, name) for one in many] for name in COLUMNS]
        hashes = [None if one.link is None else link_hash(one.link) for one in many]
        await connection.execute(_SAVE, *columns, hashes, now)
        used = [one.user_id for one in many if one.trial_used]
        await connection.execute(
            "UPDATE people SET trial_used = true WHERE user_id = ANY($1) AND NOT trial_used", used
        )

    async def save_person(
        self,
        connection: Connection,
        user_id: UserId,
        *,
        reminders: bool | None,
        time_zone: str | None,
        language: str | None,
    ) -> None:
        await connection.execute(
            "UPDATE people SET reminders = COALESCE($2, reminders), "
            "time_zone = COALESCE($3, time_zone), language = COALESCE($4, language) "
            "WHERE user_id = $1",
            user_id,
            reminders,
            time_zone,
            language,
        )

    async def due(self, connection: Connection, now: datetime, limit: int) -> list[UserId]:
        rows = await connection.fetch(
            "SELECT user_id FROM subscriptions WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
            now,
            limit,
        )
        return [row["user_id"] for row in rows]

    async def owners(self, connection: Connection, ids: Collection[UUID]) -> dict[UUID, UserId]:
        rows = await connection.fetch(
            "SELECT id, user_id FROM subscriptions WHERE id = ANY($1)", list(ids)
        )
        return {row["id"]: row["user_id"] for row in rows}

    async def of_plan_otherwise(
        self, connection: Connection, plan: str, set_id: str, devices: int, limit: int
    ) -> list[UserId]:
        rows = await connection.fetch(
            "SELECT user_id FROM subscriptions WHERE plan = $1 AND state <> 'ended' "
            "AND (set_id, devices) <> ($2, $3) ORDER BY user_id LIMIT $4",
            plan,
            set_id,
            devices,
            limit,
        )
        return [row["user_id"] for row in rows]

    async def of_other_grace(
        self, connection: Connection, grace: timedelta, after: UserId, limit: int
    ) -> list[UserId]:
        rows = await connection.fetch(
            "SELECT s.user_id FROM subscriptions s JOIN desired d ON d.subscription_id = s.id "
            "WHERE s.state = 'active' AND NOT s.trial AND d.removed_for IS NULL "
            "AND d.expires_at <> s.until + $1::interval AND s.user_id > $2 "
            "ORDER BY s.user_id LIMIT $3",
            grace,
            after,
            limit,
        )
        return [row["user_id"] for row in rows]


_GIVEN = (
    *("plan", "until", "span", "traffic_bytes", "plan_before", "limit_before", "order_before"),
    *("trial_before", "chosen_at"),
)


class PostgresGrants:
    """Implements ports.Grants. A row without a subscription: taken back before it was given."""

    async def find(
        self, connection: Connection, order_ids: Sequence[OrderId]
    ) -> dict[OrderId, Grant]:
        rows = await connection.fetch("SELECT * FROM grants WHERE order_id = ANY($1)", order_ids)
        found = {}
        for row in rows:
            given = Given(order_id=row["order_id"], **{name: row[name] for name in _GIVEN})
            never = row["plan"] == ""
            found[row["order_id"]] = Grant(
                row["order_id"],
                row["user_id"],
                None if never else SubscriptionId(row["subscription_id"]),
                None if never else given,
                row["revoked_at"] is not None,
            )
        return found

    async def add(self, connection: Connection, many: Sequence[Grant], now: datetime) -> None:
        if not many:
            return
        given = [each.given or _nothing(each.order_id, now) for each in many]
        await connection.execute(
            "INSERT INTO grants (order_id, user_id, subscription_id, plan, until, span, "
            "traffic_bytes, plan_before, limit_before, order_before, trial_before, revoked_at, "
            "chosen_at, given_at) SELECT *, $14 FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], "
            "$4::text[], $5::timestamptz[], $6::interval[], $7::bigint[], $8::text[], "
            "$9::bigint[], $10::uuid[], $11::boolean[], $12::timestamptz[], "
            "$13::timestamptz[])",
            [each.order_id for each in many],
            [each.user_id for each in many],
            [each.subscription_id or UUID(int=0) for each in many],
            [each.plan for each in given],
            [each.until for each in given],
            [each.span for each in given],
            [each.traffic_bytes for each in given],
            [each.plan_before for each in given],
            [each.limit_before for each in given],
            [each.order_before for each in given],
            [each.trial_before for each in given],
            [now if each.revoked else None for each in many],
            [each.chosen_at for each in given],
            now,
        )

    async def change(self, connection: Connection, many: Sequence[Given]) -> None:
        if not many:
            return
        await connection.execute(
            "UPDATE grants SET plan_before = c.plan, limit_before = c.left_bytes, "
            "order_before = c.before, trial_before = c.trial FROM unnest($1::uuid[], $2::text[], "
            "$3::bigint[], $4::uuid[], $5::boolean[]) AS c (id, plan, left_bytes, before, trial) "
            "WHERE order_id = c.id",
            [each.order_id for each in many],
            [each.plan_before for each in many],
            [each.limit_before for each in many],
            [each.order_before for each in many],
            [each.trial_before for each in many],
        )

    async def revoke(self, connection: Connection, order_id: OrderId, now: datetime) -> None:
        await connection.execute(
            "UPDATE grants SET revoked_at = $2 WHERE order_id = $1", order_id, now
        )

    async def bought(self, connection: Connection, order_id: OrderId, now: datetime) -> None:
        await connection.execute(
            "UPDATE grants SET bought_at = $2 WHERE order_id = $1 AND bought_at IS NULL",
            order_id,
            now,
        )


def _nothing(order_id: OrderId, now: datetime) -> Given:
    return Given(order_id=order_id, plan="", until=now)
