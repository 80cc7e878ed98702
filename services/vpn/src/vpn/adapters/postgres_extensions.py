"""Days for everybody in Postgres: the action, how far it got, and what each was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis.database import Connection
from contracts.ids import UserId
from contracts.vpn import STATE_ENDED, ExtendEverybody
from vpn.domain.access import Subscription
from vpn.ports import Extension


class PostgresExtensions:
    """Implements ports.Extensions and ports.extensions.Pages."""

    async def begin(self, connection: Connection, command: ExtendEverybody, now: datetime) -> bool:
        status = await connection.execute(
            "INSERT INTO extensions (action_id, days, reason, actor, plan, ended_within_days, "
            "asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            command.action_id,
            command.days,
            command.reason,
            command.actor,
            command.plan,
            command.ended_within_days,
            now,
        )
        return bool(status == "INSERT 0 1")

    async def claim(self, connection: Connection) -> Extension | None:
        row = await connection.fetchrow(
            "SELECT * FROM extensions WHERE finished_at IS NULL ORDER BY asked_at LIMIT 1 "
            "FOR UPDATE SKIP LOCKED"
        )
        if row is None:
            return None
        command = ExtendEverybody(
            action_id=row["action_id"],
            days=row["days"],
            reason=row["reason"],
            actor=row["actor"],
            plan=row["plan"],
            ended_within_days=row["ended_within_days"],
        )
        return Extension(command, row["asked_at"], row["after_id"])

    async def page(
        self, connection: Connection, action: Extension, limit: int
    ) -> list[tuple[UUID, UserId]]:
        rows = await connection.fetch(
            "SELECT id, user_id FROM subscriptions WHERE id > $1 AND state <> 'ended' "
            "AND until > $2 AND created_at <= $3 AND ($4 = '' OR plan = $4) ORDER BY id LIMIT $5",
            action.after_id,
            _not_before(action),
            action.asked_at,
            action.command.plan,
            limit,
        )
        return [(row["id"], row["user_id"]) for row in rows]

    def applies(self, action: Extension, one: Subscription) -> bool:
        plan = action.command.plan
        return (
            one.state != STATE_ENDED and one.until > _not_before(action) and plan in ("", one.plan)
        )

    async def record(
        self,
        connection: Connection,
        action: Extension,
        given: Sequence[tuple[UUID, datetime, datetime]],
        *,
        after_id: UUID,
    ) -> None:
        await connection.execute(
            "INSERT INTO extended (action_id, subscription_id, until_before, until_after) "
            "SELECT $1, * FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[])",
            action.command.action_id,
            [each for each, _, _ in given],
            [before for _, before, _ in given],
            [after for _, _, after in given],
        )
        await connection.execute(
            "UPDATE extensions SET after_id = $2 WHERE action_id = $1",
            action.command.action_id,
            after_id,
        )

    async def finish(self, connection: Connection, action_id: UUID, now: datetime) -> int:
        await connection.execute(
            "UPDATE extensions SET finished_at = $2 WHERE action_id = $1", action_id, now
        )
        count: int = await connection.fetchval(
            "SELECT count(*) FROM extended WHERE action_id = $1", action_id
        )
        return count


def _not_before(action: Extension) -> datetime:
    return action.asked_at - timedelta(days=action.command.ended_within_days)
