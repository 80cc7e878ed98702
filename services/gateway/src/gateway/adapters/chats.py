"""Remembers which message of a chat carries which of our names, and who blocked the bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from chassis import logs
from chassis.clock import Clock
from chassis.database import Database
from contracts.ids import UserId

log = logs.get("gateway.chats")


class Remembered(msgspec.Struct, frozen=True):
    """A sent message that may be edited. After its `final` text progress leaves it alone."""

    message_id: int
    has_media: bool
    final: bool


class Chats:
    """The messages we sent under a name, and a lock per chat so that sends do not overtake."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._locks: dict[int, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def line(self, chat_id: int) -> AsyncIterator[None]:
        """Wait for one's turn in a chat."""
        lock, users = self._locks.get(chat_id, (asyncio.Lock(), 0))
        self._locks[chat_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[chat_id]
            if users == 1:
                del self._locks[chat_id]
            else:
                self._locks[chat_id] = (lock, users - 1)

    async def find(self, chat_id: int, key: str) -> Remembered | None:
        async with self._database.read() as connection:
            row = await connection.fetchrow(
                "SELECT message_id, has_media, final FROM messages WHERE chat_id = $1 AND key = $2",
                chat_id,
                key,
            )
        return Remembered(*row) if row is not None else None

    async def remember(
        self, chat_id: int, key: str, message_id: int, *, has_media: bool, final: bool
    ) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "INSERT INTO messages (chat_id, key, message_id, has_media, final, updated_at) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (chat_id, key) DO UPDATE SET "
                "message_id = $3, has_media = $4, final = $5, updated_at = $6",
                chat_id,
                key,
                message_id,
                has_media,
                final,
                self._clock.now(),
            )

    async def file_id(self, object_key: str, shown_as: str) -> str | None:
        async with self._database.read() as connection:
            found: str | None = await connection.fetchval(
                "SELECT file_id FROM files WHERE object_key = $1 AND shown_as = $2",
                object_key,
                shown_as,
            )
        return found

    async def remember_file(self, object_key: str, shown_as: str, file_id: str) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "INSERT INTO files (object_key, shown_as, file_id, created_at) "
                "VALUES ($1, $2, $3, $4) ON CONFLICT (object_key, shown_as) DO UPDATE SET "
                "file_id = $3, created_at = $4",
                object_key,
                shown_as,
                file_id,
                self._clock.now(),
            )

    async def forget_file(self, object_key: str, shown_as: str) -> None:
        async with self._database.read() as connection:
            await connection.execute(
                "DELETE FROM files WHERE object_key = $1 AND shown_as = $2", object_key, shown_as
            )

    async def blocked(self, user_id: UserId) -> None:
        """The person stopped the bot: nothing more is sent until they write again."""
        log.info("bot_blocked")
        async with self._database.read() as connection:
            await connection.execute(
                "UPDATE persons SET blocked_at = $2 WHERE user_id = $1 AND blocked_at IS NULL",
                user_id,
                self._clock.now(),
            )
