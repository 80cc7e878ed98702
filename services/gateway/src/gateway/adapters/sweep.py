"""Deletes what is over: old rows, and stored objects nothing live refers to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from chassis import logs
from chassis.background import Background
from chassis.broker import ApiError
from chassis.clock import Clock
from chassis.database import RETRYABLE, Database
from chassis.errors import TransientError
from chassis.objects import Objects
from contracts import topology

log = logs.get("gateway.sweep")
EVERY = timedelta(hours=1)
CHUNK = 1_000
UPLOADS_KEPT = timedelta(days=30)
RESULTS_KEPT = timedelta(days=60)
"""Well below the 90 days after which the object store forgets everything by itself."""
ROWS_KEPT = topology.INBOX_HORIZON

_OLD_ROWS = (
    ("updates", "bot_id, update_id", "received_at"),
    ("messages", "chat_id, key", "updated_at"),
    ("files", "object_key, shown_as", "created_at"),
    ("checkouts", "checkout_id", "created_at"),
)
_UPLOADS = """
    DELETE FROM media WHERE id IN (
        SELECT m.id FROM media m
        WHERE m.used_at < $1 AND m.state IN ('available', 'failed') AND NOT EXISTS (
            SELECT FROM screens s WHERE s.media_ids @> ARRAY[m.id]
              AND s.state IN ('confirming', 'placed', 'accepted', 'running')
        )
        ORDER BY m.used_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING ref, thumbnail
"""
_RESULTS = """
    DELETE FROM screens WHERE order_id IN (
        SELECT s.order_id FROM screens s
        WHERE s.updated_at < $1
          AND s.state IN ('priced', 'refused', 'completed', 'refunded', 'dropped')
          AND NOT EXISTS (
            SELECT FROM deliveries d WHERE d.order_id = s.order_id AND d.state = 'intent'
        )
        ORDER BY s.updated_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING outputs
"""


class Sweep:
    """Implements ports.Sweeper. Rows go first: an object left behind expires, a row would lie."""

    def __init__(
        self, database: Database, objects: Objects, clock: Clock, background: Background
    ) -> None:
        self._database = database
        self._objects = objects
        self._clock = clock
        self._background = background
        self._asked = asyncio.Event()

    def request(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        """Sweep when asked, and once an hour; until the process stops."""
        while not self._background.stopping.is_set():
            self._asked.clear()
            try:
                await self.sweep()
            except (TransientError, *RETRYABLE) as error:
                log.warning("sweep_postponed", reason=type(error).__name__)
            try:
                async with asyncio.timeout(EVERY.total_seconds()):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def stop(self) -> None:
        self._asked.set()

    async def sweep(self) -> int:
        """One round; return how many objects were deleted."""
        now = self._clock.now()
        await self._rows(now - ROWS_KEPT)
        objects: list[str] = []
        async with self._database.read() as connection:
            await connection.execute("DELETE FROM conversations WHERE expires_at < $1", now)
            for row in await connection.fetch(_UPLOADS, now - UPLOADS_KEPT, CHUNK):
                objects += _keys(row["ref"], row["thumbnail"])
            for row in await connection.fetch(_RESULTS, now - RESULTS_KEPT, CHUNK):
                objects += _keys(*row["outputs"])
        for key in objects:
            try:
                await self._objects.delete(key)
            except ApiError as error:
                log.warning("object_not_deleted", reason=error.description)
        if objects:
            log.info("objects_deleted", count=len(objects))
        return len(objects)

    async def _rows(self, before: Any) -> None:
        for table, key, column in _OLD_ROWS:
            await self._delete(table, key, f"{column} < $1", before)
        await self._delete("deliveries", "id", "created_at < $1 AND state <> 'intent'", before)

    async def _delete(self, table: str, key: str, condition: str, before: Any) -> None:
        """In chunks: a long delete would hold its locks and its snapshot for long."""
        statement = (
            f"DELETE FROM {table} WHERE ({key}) IN "  # noqa: S608 - names of our own
            f"(SELECT {key} FROM {table} WHERE {condition} LIMIT {CHUNK})"
        )
        deleted = CHUNK
        while deleted == CHUNK:
            async with self._database.read() as connection:
                status = await connection.execute(statement, before)
            deleted = int(status.rpartition(" ")[2])


def _keys(*references: dict[str, Any] | None) -> list[str]:
    return [each["object_key"] for each in references if each]
