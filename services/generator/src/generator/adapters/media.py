"""Inputs and results in the object store."""

from __future__ import annotations

import asyncio
import hashlib

from chassis import logs
from chassis.errors import TransientError
from chassis.objects import ObjectDamagedError, ObjectMissingError, Objects
from contracts.media import MediaRef
from generator.adapters.stripping import Stripped, small_preview, strip
from generator.domain.graphs import ResultFile
from generator.ports import InputUnusableError

log = logs.get("generator.media")
RETRY_SECONDS = 0.5


class ObjectMedia:
    """Implements `ports.Media`. A store that is away is waited for: the lease ends first."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def fetch(self, ref: MediaRef) -> bytes:
        while True:
            try:
                body = await self._objects.get(ref.object_key)
                break
            except ObjectMissingError as error:
                raise InputUnusableError("input not in the store") from error
            except ObjectDamagedError as error:
                raise InputUnusableError("input damaged in the store") from error
            except TransientError as error:
                log.warning("input_waits", reason=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        if hashlib.sha256(body).hexdigest() != ref.sha256:
            raise InputUnusableError("input is not the file that was ordered")
        return body

    async def store(self, key: str, body: bytes, file: ResultFile) -> MediaRef:
        stripped = await asyncio.to_thread(strip, body, file.kind, file.filename)
        object_key = f"{key}.{stripped.extension}"
        digest = hashlib.sha256(stripped.body).hexdigest()
        await self._put(object_key, stripped, digest)
        return MediaRef(
            name=f"vitrine-{object_key.rsplit('/', 1)[1]}",  # what a person's phone calls the file
            object_key=object_key,
            sha256=digest,
            mime=stripped.mime,
            size_bytes=len(stripped.body),
            kind=file.kind,
            width=stripped.width,
            height=stripped.height,
            duration_seconds=stripped.duration_seconds,
        )

    async def _put(self, key: str, stripped: Stripped, digest: str) -> None:
        while True:
            try:
                await self._objects.put(key, stripped.body, sha256=digest)
                return
            except TransientError as error:
                log.warning("result_waits", reason=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def preview(self, image: bytes) -> bytes:
        return await asyncio.to_thread(small_preview, image)
