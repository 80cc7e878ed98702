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

    async def set_language(self, uow: UnitOfWork, user_id: UserId, language: str) -> None:
        await uow.connection.execute(
            "UPDATE persons SET language = $2 WHERE user_id = $1", user_id, language
        )

    async def set_zone(self, uow: UnitOfWork, user_id: UserId, zone: str) -> None:
        await uow.connection.execute(
            "UPDATE persons SET time_zone = $2 WHERE user_id = $1", user_id, zone
        )
