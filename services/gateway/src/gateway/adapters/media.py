"""Records the files people send and hands them out again: the rows of the table `media`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chassis import tracing
from chassis.clock import IdFactory
from chassis.outbox import UnitOfWork
from contracts.generator import shard_of
from contracts.ids import MediaId, UserId
from contracts.media import MediaRef
from gateway.ports import MEDIA_AVAILABLE, MEDIA_FAILED, MEDIA_PENDING, Incoming, Media

_COLUMNS = "id, user_id, state, ref, thumbnail, error"


class PostgresMedia:
    """Implements ports.MediaStore."""

    def __init__(self, new_id: IdFactory, wake: Callable[[], None]) -> None:
        self._new_id = new_id
        self._wake = wake

    async def accept(self, uow: UnitOfWork, *, user_id: UserId, incoming: Incoming) -> Media:
        """A file that failed before is tried again: the person sent it again."""
        row = await uow.connection.fetchrow(
            "INSERT INTO media (id, user_id, shard, file_unique_id, file_id, size_bytes, mime, "  # noqa: S608 - constant columns
            "state, due_at, traceparent, created_at, used_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $9) "
            "ON CONFLICT (user_id, file_unique_id) DO UPDATE SET "
            "file_id = $5, used_at = $9, "
            "state = CASE WHEN media.state = 'failed' THEN 'pending' ELSE media.state END, "
            "attempts = CASE WHEN media.state = 'failed' THEN 0 ELSE media.attempts END, "
            "due_at = CASE WHEN media.state = 'failed' THEN $9 ELSE media.due_at END, "
            f"error = '' RETURNING {_COLUMNS}",
            self._new_id(),
            user_id,
            shard_of(user_id),
            incoming.file_unique_id,
            incoming.file_id,
            incoming.size_bytes,
            incoming.mime,
            MEDIA_PENDING,
            uow.now,
            uow.traceparent or tracing.inject(),
        )
        media = media_of(row)
        if media.state not in (MEDIA_AVAILABLE, MEDIA_FAILED):
            uow.after_commit(self._wake)
        return media

    async def find(self, uow: UnitOfWork, media_ids: tuple[MediaId, ...]) -> list[Media]:
        rows = await uow.connection.fetch(
            f"SELECT {_COLUMNS} FROM media WHERE id = ANY($1) ORDER BY id FOR UPDATE",  # noqa: S608 - constant columns
            list(media_ids),
        )
        found = {row["id"]: media_of(row) for row in rows}
        if found:
            await uow.connection.execute(
                "UPDATE media SET used_at = $2 WHERE id = ANY($1)", list(found), uow.now
            )
        return [found[each] for each in media_ids if each in found]


def media_of(row: Any) -> Media:
    return Media(
        id=row["id"],
        user_id=row["user_id"],
        state=row["state"],
        ref=msgspec.convert(row["ref"], MediaRef) if row["ref"] else None,
        thumbnail=msgspec.convert(row["thumbnail"], MediaRef) if row["thumbnail"] else None,
        error=row["error"],
    )
