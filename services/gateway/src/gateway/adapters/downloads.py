"""Fetches the files people sent, has them checked, and stores what may be used."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind

from chassis import logs, metrics, tracing
from chassis.background import Background
from chassis.errors import TransientError
from chassis.objects import Objects
from chassis.outbox import Outbox
from contracts.ids import UserId
from contracts.media import MediaRef
from gateway.adapters.claimed_rows import ClaimedRows
from gateway.adapters.images import Images, NotTakenError, Written
from gateway.adapters.media import media_of
from gateway.adapters.telegram import (
    BlockedError,
    FileTooLargeError,
    RejectedError,
    Telegram,
)
from gateway.ports import (
    MEDIA_AVAILABLE,
    MEDIA_FAILED,
    MEDIA_PENDING,
    MEDIA_TOO_LARGE,
    MEDIA_UNREACHABLE,
    Media,
    MediaHook,
)

log = logs.get("gateway.downloads")
RETRY_FIRST = timedelta(seconds=1)
RETRY_MAX = timedelta(seconds=30)
BREAKER_FAILURES = 5
BREAKER_PAUSE = timedelta(seconds=10)
"""After five failures in a row Telegram's file server is left alone for a while."""
EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}

settled_count = metrics.counter("gateway.media.settled", description="by outcome")
took_seconds = metrics.histogram("gateway.media.download_seconds")

_CLAIM = """
    WITH due AS (
        SELECT id FROM media
        WHERE state IN ('pending', 'downloading') AND shard = ANY($1) AND due_at <= $2
          AND (leased_by IS NULL OR leased_by = $3 AND id <> ALL($5))
        ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE media m SET leased_by = $3, attempts = m.attempts + 1, state = 'downloading'
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.user_id, m.file_id, m.size_bytes, m.attempts, m.traceparent, m.shard
"""


class Claimed(msgspec.Struct, frozen=True):
    """A file to fetch."""

    id: UUID
    user_id: UserId
    file_id: str
    size_bytes: int
    attempts: int
    traceparent: str
    shard: int


class Downloads:
    """pending → downloading → available | failed, a bounded number at a time."""

    def __init__(
        self,
        outbox: Outbox,
        telegram: Telegram,
        objects: Objects,
        images: Images,
        background: Background,
        *,
        replica: UUID,
        held: Callable[[], frozenset[int]],
        available: MediaHook,
        failed: MediaHook,
        concurrent_max: int,
        timeout: timedelta,
        attempts_max: int,
        bytes_max: int,
    ) -> None:
        self._outbox = outbox
        self._telegram = telegram
        self._objects = objects
        self._images = images
        self._replica = replica
        self._available = available
        self._failed = failed
        self._timeout = timeout
        self._attempts_max = attempts_max
        self._bytes_max = bytes_max
        self._rows: ClaimedRows[Claimed] = ClaimedRows(
            background,
            name="download",
            concurrent_max=concurrent_max,
            held=held,
            claim=self._claim,
            work=self._take,
            give_up=self._break_off,
        )
        self._failures = 0
        self._open_until = 0.0

    def wake(self) -> None:
        self._rows.wake()

    async def take_over(self, shards: frozenset[int]) -> None:
        """Free what the former holder of these shards was fetching."""
        async with self._outbox.database.read() as connection:
            await connection.execute(
                "UPDATE media SET leased_by = NULL WHERE shard = ANY($1) "
                "AND state IN ('pending', 'downloading') AND leased_by <> $2",
                list(shards),
                self._replica,
            )

    async def run(self) -> None:
        """Fetch until the process stops. What is cut off then is fetched again by another."""
        await self._rows.run()

    async def stop(self) -> None:
        """Claim nothing more; a fetch is not waited for, it may take minutes."""
        self._rows.wake()

    async def _claim(self, shards: list[int], free: int, under_way: list[UUID]) -> list[Claimed]:
        if asyncio.get_running_loop().time() < self._open_until:
            return []
        async with self._outbox.database.read() as connection:
            rows = await connection.fetch(
                _CLAIM, shards, self._outbox.clock.now(), self._replica, free, under_way
            )
        return [Claimed(**dict(row)) for row in rows]

    async def _take(self, row: Claimed) -> None:
        with tracing.span("download file", traceparent=row.traceparent, kind=SpanKind.CONSUMER):
            await self._try(row)

    async def _break_off(self, row: Claimed) -> None:
        """A bug: again a little later; when tries run out the row fails without its hook."""
        over = row.attempts >= self._attempts_max
        async with self._outbox.database.read() as connection:
            await connection.execute(
                "UPDATE media SET leased_by = NULL, state = $2, error = $3, due_at = $4 "
                "WHERE id = $1 AND state = 'downloading' AND leased_by = $5",
                row.id,
                MEDIA_FAILED if over else MEDIA_PENDING,
                MEDIA_UNREACHABLE if over else "",
                self._outbox.clock.now() + RETRY_FIRST * row.attempts,
                self._replica,
            )

    async def _try(self, row: Claimed) -> None:
        started = asyncio.get_running_loop().time()
        try:
            with tempfile.TemporaryDirectory(prefix="vitrine-media-") as folder:
                image, thumbnail = await self._fetch(row, Path(folder))
        except FileTooLargeError:
            await self._fail(row, MEDIA_TOO_LARGE)
        except NotTakenError as refusal:
            await self._fail(row, refusal.code)
        except (RejectedError, BlockedError) as error:
            code = MEDIA_TOO_LARGE if "too big" in str(error).lower() else MEDIA_UNREACHABLE
            await self._fail(row, code)
        except (TransientError, OSError) as error:
            await self._retry(row, error)
        else:
            self._failures = 0
            took_seconds.record(asyncio.get_running_loop().time() - started)
            await self._succeed(row, image, thumbnail)

    async def _fetch(self, row: Claimed, folder: Path) -> tuple[MediaRef, MediaRef]:
        """Download, check in the worker process, store the clean picture and its thumbnail."""
        if row.size_bytes > self._bytes_max:
            raise FileTooLargeError
        raw, clean, small = folder / "raw", folder / "clean", folder / "small"
        async with asyncio.timeout(self._timeout.total_seconds()):
            file = await self._telegram.call("getFile", {"file_id": row.file_id})
            if file.get("file_size", 0) > self._bytes_max or not file.get("file_path"):
                raise FileTooLargeError
            await self._telegram.download(
                file["file_path"], raw, bytes_max=self._bytes_max, timeout=self._timeout
            )
        written, thumbnail = await self._images.check(raw, clean, small)
        return (
            await self._store(row, "photo", clean, written),
            await self._store(row, "thumbnail", small, thumbnail),
        )

    async def _store(self, row: Claimed, name: str, path: Path, written: Written) -> MediaRef:
        extension = EXTENSIONS[written.mime]
        # The key holds the attempt: one that was cut off left its half behind under another.
        key = f"uploads/{row.id}/{name}-{row.attempts}.{extension}"
        await self._objects.put(key, path, sha256=written.sha256)
        return MediaRef(
            name=f"{name}.{extension}",
            object_key=key,
            sha256=written.sha256,
            mime=written.mime,
            size_bytes=written.size_bytes,
            width=written.width,
            height=written.height,
        )

    async def _succeed(self, row: Claimed, image: MediaRef, thumbnail: MediaRef) -> None:
        await self._record(
            row,
            "UPDATE media SET state = $2, ref = $3, thumbnail = $4, leased_by = NULL "
            "WHERE id = $1 AND state = 'downloading' "
            "RETURNING id, user_id, state, ref, thumbnail, error",
            (MEDIA_AVAILABLE, msgspec.to_builtins(image), msgspec.to_builtins(thumbnail)),
            self._available,
        )

    async def _fail(self, row: Claimed, code: str) -> None:
        log.info("file_refused", code=code)
        await self._record(
            row,
            "UPDATE media SET state = $2, error = $3, leased_by = NULL "
            "WHERE id = $1 AND state = 'downloading' AND leased_by = $4 "
            "RETURNING id, user_id, state, ref, thumbnail, error",
            (MEDIA_FAILED, code, self._replica),
            self._failed,
        )

    async def _record(
        self, row: Claimed, statement: str, values: tuple[object, ...], hook: MediaHook
    ) -> None:
        """Set the end of a file and let the shop act on it, in one transaction."""
        media: Media | None = None
        async with self._outbox.begin() as uow:
            uow.traceparent = tracing.inject() or row.traceparent
            found = await uow.connection.fetchrow(statement, row.id, *values)
            if found is not None:
                media = media_of(found)
                await hook(media, uow)
        if media is not None:
            settled_count.add(1, {"outcome": media.error or media.state})

    async def _retry(self, row: Claimed, error: Exception) -> None:
        """Again with backoff; after the last try the person and the operators are told."""
        self._failures += 1
        if self._failures >= BREAKER_FAILURES:
            self._failures = 0
            self._open_until = asyncio.get_running_loop().time() + BREAKER_PAUSE.total_seconds()
            log.warning("downloads_paused", seconds=BREAKER_PAUSE.total_seconds())
        if row.attempts >= self._attempts_max:
            log.error("download_given_up", reason=type(error).__name__, attempts=row.attempts)
            await self._fail(row, MEDIA_UNREACHABLE)
            return
        wait = min(RETRY_FIRST * 2 ** min(row.attempts - 1, 10), RETRY_MAX)
        log.info("download_postponed", reason=type(error).__name__)
        async with self._outbox.database.read() as connection:
            await connection.execute(
                "UPDATE media SET leased_by = NULL, state = $3, due_at = $2 "
                "WHERE id = $1 AND state = 'downloading' AND leased_by = $4",
                row.id,
                self._outbox.clock.now() + wait,
                MEDIA_PENDING,
                self._replica,
            )
        asyncio.get_running_loop().call_later(wait.total_seconds(), self._rows.wake)
