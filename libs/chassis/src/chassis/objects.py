"""Files in the object store: streamed in chunks, checked by digest, really freed when deleted.

The layout is ADR-20's (chunks under one random id, one JSON description per name), so that the
operators' `nats object` command reads it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from chassis import logs
from chassis.broker import ApiError, Broker
from chassis.clock import Clock, SystemClock
from chassis.deliveries import BrokerUnavailableError
from chassis.nats_client import NatsError
from chassis.publishing import PUBLISH_TIMEOUT, WrongSequenceError, check_ack
from chassis.stored_messages import MessageReader, last_message
from chassis.wire import Frame, publish_frame
from contracts.envelope import HEADER_ID

log = logs.get("chassis.objects")
CHUNK_BYTES = 128 << 10
CHUNKS_UNACKNOWLEDGED_MAX = 8
DESCRIBE_ATTEMPTS_MAX = 5
DIGEST_PREFIX = "SHA-256="
NOT_FOUND = 404
ROLLUP = {"Nats-Rollup": "sub"}
META_TIMEOUT = timedelta(seconds=5)


Unacknowledged = deque[tuple[str, asyncio.Future[Frame]]]


class ObjectMissingError(Exception):
    """No such object: never stored, deleted, or older than the bucket keeps."""


class ObjectDamagedError(Exception):
    """What arrived is not what was described: the digest or the number of chunks differs."""


class ObjectInfo(msgspec.Struct, frozen=True):
    key: str
    size: int
    sha256: str


class Description(msgspec.Struct, kw_only=True):
    """The JSON kept per object (ADR-20)."""

    name: str
    bucket: str
    nuid: str
    size: int = 0
    chunks: int = 0
    digest: str = ""
    mtime: str = ""
    deleted: bool = False
    options: dict[str, int] = msgspec.field(default_factory=lambda: {"max_chunk_size": CHUNK_BYTES})

    @property
    def info(self) -> ObjectInfo:
        raw = base64.urlsafe_b64decode(self.digest.removeprefix(DIGEST_PREFIX))
        return ObjectInfo(self.name, self.size, raw.hex())


class Objects:
    """One bucket. It is created by bootstrap; here it is only used."""

    def __init__(
        self, broker: Broker, bucket: str = "media", *, clock: Clock | None = None
    ) -> None:
        self._broker = broker
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"
        self._clock = clock or SystemClock()
        self._reader = MessageReader(broker, self._stream)

    async def put(
        self,
        key: str,
        data: bytes | Path | AsyncIterator[bytes],
        *,
        sha256: str | None = None,
    ) -> ObjectInfo:
        """Store an object, replacing one of that key.

        Raises ObjectDamagedError when the bytes are not those of `sha256`, StreamFullError when
        there is no room, BrokerUnavailableError; the object that was there is still there then.
        """
        described = Description(name=key, bucket=self._bucket, nuid=uuid4().hex)
        waiting: Unacknowledged = deque()
        try:
            await self._store_chunks(described, data, waiting)
            if sha256 is not None and described.info.sha256 != sha256:
                raise ObjectDamagedError(f"{key}: the bytes given are not those of its digest")
        except BaseException:
            await asyncio.shield(self._give_up(described.nuid, waiting))
            raise
        finally:
            for reply, _ in waiting:
                self._broker.nc.forget_reply(reply)
        # When this fails nobody knows whether the name is on the chunks: they stay.
        await self._describe(described)
        return described.info

    async def get(self, key: str) -> bytes:
        """Return the whole object; `download` is for what is better not held in memory."""
        return b"".join([chunk async for chunk in self.read(key)])

    async def download(self, key: str, path: Path) -> ObjectInfo:
        """Write the object to a file, chunk by chunk. A damaged one leaves no file behind."""
        described = await self._described(key)
        try:
            with path.open("wb") as file:
                async for chunk in self._chunks(described):
                    await asyncio.to_thread(file.write, chunk)
        except BaseException:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            raise
        return described.info

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yield the chunks. Only after the last one is the digest known to be right."""
        described = await self._described(key)
        async for chunk in self._chunks(described):
            yield chunk

    async def info(self, key: str) -> ObjectInfo:
        return (await self._described(key)).info

    async def delete(self, key: str) -> bool:
        """Free the chunks, then forget the name; repeating it after a crash finishes it."""
        found = await self._find(key)
        if found is None:
            return False
        described, sequence = found
        await self._discard(described.nuid)
        # Up to this description: a newer one belongs to whoever stored it meanwhile.
        await self._purge(self._meta_subject(key), seq=sequence + 1)
        return True

    async def list(self) -> list[ObjectInfo]:
        described = [
            msgspec.json.decode(body, type=Description)
            async for body in self._reader.messages(f"$O.{self._bucket}.M.>")
        ]
        return [each.info for each in described if not each.deleted]

    async def _chunks(self, described: Description) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        count = 0
        subject = self._chunk_subject(described.nuid)
        async for chunk in self._reader.messages(subject, expected=described.chunks):
            digest.update(chunk)
            count += 1
            yield chunk
        if count != described.chunks or _digest(digest.digest()) != described.digest:
            raise ObjectDamagedError(f"{described.name}: {count} of {described.chunks} chunks")

    async def _store_chunks(
        self,
        described: Description,
        data: bytes | Path | AsyncIterator[bytes],
        waiting: Unacknowledged,
    ) -> None:
        digest = hashlib.sha256()
        subject = self._chunk_subject(described.nuid)
        client = self._broker.nc
        try:
            async for chunk in _in_chunks(data):
                digest.update(chunk)
                described.size += len(chunk)
                described.chunks += 1
                reply, answer = client.expect_reply()
                waiting.append((reply, answer))
                await client.send([publish_frame(subject, chunk, reply=reply)])
                if len(waiting) == CHUNKS_UNACKNOWLEDGED_MAX:
                    await _stored(waiting.popleft()[1], subject)
            while waiting:
                await _stored(waiting.popleft()[1], subject)
        except NatsError as error:
            raise BrokerUnavailableError(f"not sent: {type(error).__name__}") from error
        described.digest = _digest(digest.digest())

    async def _describe(self, described: Description) -> None:
        """Put the name on the new chunks by compare-and-set, then free those it was on."""
        described.mtime = self._clock.now().isoformat()
        body = msgspec.json.encode(described)
        replaced = ""
        for _ in range(DESCRIBE_ATTEMPTS_MAX):
            before = await self._find(described.name, deleted=True)
            if before is not None and before[0].nuid == described.nuid:
                break  # stored by an attempt whose answer was lost
            if before is not None:
                replaced = before[0].nuid
            try:
                await self._broker.publish(
                    self._meta_subject(described.name),
                    body,
                    ROLLUP | {HEADER_ID: described.nuid},
                    expect_last_subject_sequence=before[1] if before else 0,
                    timeout=META_TIMEOUT,
                    traced=False,
                )
            except WrongSequenceError:
                continue  # another put of the same key was first: its chunks are ours to free
            break
        else:
            raise BrokerUnavailableError(f"{described.name} is written by too many at once")
        if replaced:
            await self._discard(replaced)

    async def _described(self, key: str) -> Description:
        found = await self._find(key)
        if found is None:
            raise ObjectMissingError(key)
        return found[0]

    async def _find(self, key: str, *, deleted: bool = False) -> tuple[Description, int] | None:
        message = await last_message(self._broker, self._stream, self._meta_subject(key))
        if message is None:
            return None
        described = msgspec.json.decode(message.body, type=Description)
        return (described, message.sequence) if deleted or not described.deleted else None

    async def _give_up(self, nuid: str, waiting: Unacknowledged) -> None:
        """Purge what was stored, once nothing more can be on its way."""
        if waiting:
            await asyncio.wait(
                [answer for _, answer in waiting], timeout=PUBLISH_TIMEOUT.total_seconds()
            )
        try:
            await self._discard(nuid)
        except (BrokerUnavailableError, ApiError) as error:
            log.warning("chunks_left_to_expire", reason=str(error))

    async def _discard(self, nuid: str) -> None:
        await self._purge(self._chunk_subject(nuid))

    async def _purge(self, subject: str, **limits: Any) -> None:
        try:
            await self._broker.api(f"STREAM.PURGE.{self._stream}", {"filter": subject, **limits})
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise

    def _chunk_subject(self, nuid: str) -> str:
        return f"$O.{self._bucket}.C.{nuid}"

    def _meta_subject(self, key: str) -> str:
        name = base64.urlsafe_b64encode(key.encode()).decode()
        return f"$O.{self._bucket}.M.{name}"


def _digest(raw: bytes) -> str:
    return DIGEST_PREFIX + base64.urlsafe_b64encode(raw).decode()


async def _stored(answer: asyncio.Future[Frame], subject: str) -> None:
    try:
        async with asyncio.timeout(PUBLISH_TIMEOUT.total_seconds()):
            check_ack(await answer, subject)
    except TimeoutError as error:
        raise BrokerUnavailableError("no answer to a chunk") from error


async def _in_chunks(data: bytes | Path | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut any source into chunks of one size (the last may be shorter)."""
    if isinstance(data, bytes):
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]
        return
    if isinstance(data, Path):
        with data.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        return
    held = bytearray()
    async for piece in data:
        held += piece
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)
