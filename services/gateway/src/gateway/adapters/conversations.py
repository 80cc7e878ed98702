"""What one update finds and leaves in the database: its inbox row, the person, the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from chassis.database import Connection
from chassis.outbox import UnitOfWork
from contracts.ids import UserId
from gateway.adapters import repeats
from gateway.ports import Answer, Conversation, Person

_OPEN = """
    SELECT p.language, p.time_zone, p.blocked_at, p.opened_at,
           c.state, c.data, u.handled_at, u.answers
    FROM persons p
    LEFT JOIN conversations c
           ON c.bot_id = $1 AND c.user_id = p.user_id AND c.expires_at > $4
    LEFT JOIN updates u ON u.bot_id = $1 AND u.update_id = $2
    WHERE p.user_id = $3
    FOR NO KEY UPDATE OF p
"""


class RepeatedError(Exception):
    """Another replica handled this very update meanwhile: roll back and repeat its answer."""


class Opened(msgspec.Struct, frozen=True):
    """`repeated` carries the answers of an update that was handled before."""

    person: Person
    conversation: Conversation
    repeated: tuple[Answer, ...] | None = None


class Conversations:
    """The rows of one bot. The person's row is locked: their updates follow one another."""

    def __init__(self, bot_id: int, *, ttl: timedelta) -> None:
        self._bot_id = bot_id
        self._ttl = ttl

    async def open(
        self, uow: UnitOfWork, *, update_id: int, user_id: UserId, language: str
    ) -> Opened:
        """Load and lock; a person who writes for the first time gets a row."""
        parameters = (self._bot_id, update_id, user_id, uow.now)
        row = await uow.connection.fetchrow(_OPEN, *parameters)
        is_new = False
        if row is None:
            inserted = await uow.connection.fetchval(
                "INSERT INTO persons (user_id, language, opened_at) VALUES ($1, $2, $3) "
                "ON CONFLICT DO NOTHING RETURNING user_id",
                user_id,
                language,
                uow.now,
            )
            is_new = inserted is not None
            row = await uow.connection.fetchrow(_OPEN, *parameters)
            assert row is not None
        if row["blocked_at"] is not None:
            await self.set_blocked(uow, user_id, blocked=False)  # they speak to the bot again
        person = Person(
            user_id=user_id,
            language=row["language"],
            time_zone=row["time_zone"],
            is_new=is_new,
            blocked=False,
            opened_at=row["opened_at"],
        )
        conversation = Conversation(row["state"], row["data"] or {})
        return Opened(person, conversation, _answers(row))

    async def close(
        self,
        uow: UnitOfWork,
        *,
        update_id: int,
        user_id: UserId,
        answers: Sequence[Answer],
        conversation: Conversation | None,
    ) -> None:
        """Record the update as handled. Raises RepeatedError when it was, in the meantime."""
        done = await uow.connection.fetchval(
            "INSERT INTO updates (bot_id, update_id, user_id, answers, received_at, handled_at) "
            "VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (bot_id, update_id) DO UPDATE "
            "SET answers = $4, handled_at = $5 WHERE updates.handled_at IS NULL "
            "RETURNING update_id",
            self._bot_id,
            update_id,
            user_id,
            msgspec.to_builtins(answers),
            uow.now,
        )
        if done is None:
            raise RepeatedError
        if conversation is not None and conversation.changed:
            await self._write(uow, user_id, conversation)

    async def _write(self, uow: UnitOfWork, user_id: UserId, conversation: Conversation) -> None:
        if conversation.state is None and not conversation.data:
            await uow.connection.execute(
                "DELETE FROM conversations WHERE bot_id = $1 AND user_id = $2",
                self._bot_id,
                user_id,
            )
            return
        await uow.connection.execute(
            "INSERT INTO conversations (bot_id, user_id, state, data, expires_at) "
            "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (bot_id, user_id) DO UPDATE "
            "SET state = $3, data = $4, expires_at = $5",
            self._bot_id,
            user_id,
            conversation.state,
            conversation.data,
            uow.now + self._ttl,
        )

    async def handled(self, connection: Connection, update_id: int) -> tuple[Answer, ...] | None:
        """Return the answers of an update that was handled, or None."""
        row = await connection.fetchrow(
            "SELECT handled_at, answers FROM updates WHERE bot_id = $1 AND update_id = $2",
            self._bot_id,
            update_id,
        )
        return None if row is None else _answers(row)

    async def still_true(
        self,
        connection: Connection,
        answers: Sequence[Answer],
        *,
        update_id: int,
        user_id: UserId,
        chat_id: int,
        came_at: datetime | None = None,
    ) -> tuple[Answer, ...]:
        """The answers of a handled update without edits of messages that were edited since.

        `came_at`: when it came, if it is worked only now.
        """
        return await repeats.still_true(
            connection,
            answers,
            bot_id=self._bot_id,
            update_id=update_id,
            user_id=user_id,
            chat_id=chat_id,
            came_at=came_at,
        )

    async def count_start(
        self, connection: Connection, *, update_id: int, user_id: UserId, now: datetime
    ) -> int:
        """Count one more try, in a transaction of its own, and return how many there were."""
        starts: int = await connection.fetchval(
            "INSERT INTO updates (bot_id, update_id, user_id, starts, received_at) "
            "VALUES ($1, $2, $3, 1, $4) ON CONFLICT (bot_id, update_id) DO UPDATE "
            "SET starts = updates.starts + 1 RETURNING starts",
            self._bot_id,
            update_id,
            user_id,
            now,
        )
        return starts

    async def set_blocked(self, uow: UnitOfWork, user_id: UserId, *, blocked: bool) -> None:
        """Unless a newer update said otherwise; this one may have been handed back (ADR 0018)."""
        if not await uow.is_last_word(f"blocked:{user_id}"):
            return
        await uow.connection.execute(
            "UPDATE persons SET blocked_at = $2 WHERE user_id = $1",
            user_id,
            uow.now if blocked else None,
        )

    async def reopen(self, uow: UnitOfWork, update_id: int) -> None:
        """An operator re-drives a parked update: it counts as not handled again."""
        await uow.connection.execute(
            "UPDATE updates SET handled_at = NULL, starts = 0 WHERE bot_id = $1 AND update_id = $2",
            self._bot_id,
            update_id,
        )

    async def tell_group_once(self, uow: UnitOfWork, chat_id: int) -> bool:
        """Whether this group has not been told yet that only private chats are served."""
        inserted = await uow.connection.fetchval(
            "INSERT INTO groups (chat_id, told_at) VALUES ($1, $2) "
            "ON CONFLICT DO NOTHING RETURNING chat_id",
            chat_id,
            uow.now,
        )
        return inserted is not None

    async def remember(self, uow: UnitOfWork, chat_id: int, key: str, message_id: int) -> None:
        """Give an existing message a name, in the update's transaction."""
        await uow.connection.execute(
            "INSERT INTO messages (chat_id, key, message_id, updated_at) "
            "VALUES ($1, $2, $3, $4) ON CONFLICT (chat_id, key) DO UPDATE "
            "SET message_id = $3, updated_at = $4",
            chat_id,
            key,
            message_id,
            uow.now,
        )


def _answers(row: Any) -> tuple[Answer, ...] | None:
    if row["handled_at"] is None:
        return None
    return msgspec.convert(row["answers"], tuple[Answer, ...])
