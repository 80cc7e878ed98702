"""The people the bot talks to, as rows of the table `persons`."""

from __future__ import annotations

from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from gateway.ports import Person


class PostgresPeople:
    """Implements ports.People. Rows are made by the runner, with a person's first update."""

    async def find(self, uow: UnitOfWork, user_id: UserId) -> Person | None:
        row = await uow.connection.fetchrow(
            "SELECT language, time_zone, blocked_at, opened_at FROM persons WHERE user_id = $1",
            user_id,
        )
        if row is None:
            return None
        return Person(
            user_id=user_id,
            language=row["language"],
            time_zone=row["time_zone"],
            blocked=row["blocked_at"] is not None,
            opened_at=row["opened_at"],
        )

    async def set_language(self, uow: UnitOfWork, user_id: UserId, language: str) -> bool:
        if not await uow.is_last_word(f"language:{user_id}"):
            return False
        await uow.connection.execute(
            "UPDATE persons SET language = $2 WHERE user_id = $1", user_id, language
        )
        return True

    async def set_zone(self, uow: UnitOfWork, user_id: UserId, zone: str) -> bool:
        if not await uow.is_last_word(f"zone:{user_id}"):
            return False
        await uow.connection.execute(
            "UPDATE persons SET time_zone = $2 WHERE user_id = $1", user_id, zone
        )
        return True
