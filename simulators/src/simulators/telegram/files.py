"""Keeps the bytes of every photo, clip and document, and the file ids that name them."""

import asyncio
import hashlib
import mimetypes
import shutil
import tempfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from simulators.telegram.pictures import (
    Clip,
    PictureError,
    Size,
    clip_facts,
    photo_sizes,
    thumbnail,
)
from simulators.telegram.store import Store

PREFIXES = {
    "photo": "AgACAgIAAxk",
    "video": "BAACAgIAAxk",
    "animation": "CgACAgIAAxk",
    "document": "BQACAgIAAxk",
    "audio": "CQACAgIAAxk",
    "voice": "AwACAgIAAxk",
    "sticker": "CAACAgIAAxk",
    "thumbnail": "AAMCAgADGQ",
}
UNIQUE_PREFIX = "AQAD"
NAMED_KINDS = {"document", "video", "animation", "audio"}
FRAMED_KINDS = {"video", "animation", "sticker"}
TIMED_KINDS = {"video", "animation", "audio", "voice"}
DEFAULT_MIME = {
    "photo": "image/jpeg",
    "thumbnail": "image/jpeg",
    "video": "video/mp4",
    "animation": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg",
    "sticker": "image/webp",
}


@dataclass(slots=True)
class StoredFile:
    file_id: str
    unique_id: str
    kind: str
    sha: str
    size: int
    path: str
    mime: str
    name: str | None = None
    width: int = 0
    height: int = 0
    duration: int = 0
    thumb: str | None = None
    sizes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


class FileStore:
    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        self._temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="telegram-files-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._by_id: dict[str, StoredFile] = {}
        self._by_path: dict[str, StoredFile] = {}
        self._scaled: dict[str, list[tuple[int, int, str, int]]] = {}
        for body in store.load("file"):
            self._register(StoredFile(**body))

    def close(self) -> None:
        if self._temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def clear(self) -> None:
        self._by_id.clear()
        self._by_path.clear()
        self._scaled.clear()
        for path in self._folder.iterdir():
            path.unlink(missing_ok=True)

    def get(self, file_id: str) -> StoredFile | None:
        return self._by_id.get(file_id)

    def at_path(self, path: str) -> StoredFile | None:
        return self._by_path.get(path)

    def location(self, stored: StoredFile) -> Path:
        return self._folder / stored.sha

    async def add_photo(self, data: bytes) -> list[StoredFile]:
        """Several sizes of one photo; raises PictureError for what cannot be one."""
        source = hashlib.sha256(data).hexdigest()
        if source not in self._scaled:
            made = await asyncio.to_thread(photo_sizes, data)
            self._scaled[source] = [await self._keep_size(size) for size in made]
        files = [
            self._make("photo", sha, size, width=width, height=height, mime="image/jpeg")
            for width, height, sha, size in self._scaled[source]
        ]
        for stored in files:
            stored.sizes = [each.file_id for each in files]
        return files

    async def add(
        self, kind: str, data: bytes, *, name: str | None, mime: str | None, **facts: int
    ) -> StoredFile:
        sha = await self._keep(data)
        guessed = mimetypes.guess_type(name or "")[0]
        if not mime or mime == "application/octet-stream":
            mime = guessed or DEFAULT_MIME.get(kind, "application/octet-stream")
        frame = {fact: value for fact, value in facts.items() if value}
        if kind in {"video", "animation"} and not {"width", "height", "duration"} <= frame.keys():
            clip = await asyncio.to_thread(clip_facts, data)
            frame = {**_clip_fields(clip), **frame}
        stored = self._make(kind, sha, len(data), mime=mime, name=name, **frame)
        if mime.startswith("image/") and kind in {"document", "animation", "sticker"}:
            if small := await asyncio.to_thread(thumbnail, data):
                stored.thumb = (await self._add_thumbnail(small)).file_id
            if kind == "sticker" and small:
                stored.width, stored.height = small.width, small.height
        return stored

    async def set_thumbnail(self, stored: StoredFile, data: bytes) -> None:
        if small := await asyncio.to_thread(thumbnail, data):
            stored.thumb = (await self._add_thumbnail(small)).file_id

    async def _add_thumbnail(self, small: Size) -> StoredFile:
        _, _, sha, size = await self._keep_size(small)
        return self._make("thumbnail", sha, size, width=small.width, height=small.height)

    async def _keep_size(self, size: Size) -> tuple[int, int, str, int]:
        return size.width, size.height, await self._keep(size.data), len(size.data)

    async def _keep(self, data: bytes) -> str:
        return await asyncio.to_thread(self._write, data)

    def _write(self, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        path = self._folder / sha
        if not path.exists():
            # A name of its own: two people may send the same picture in the same moment.
            part = self._folder / f"{sha}.{uuid4()}.part"
            part.write_bytes(data)
            part.replace(path)
        return sha

    def _make(
        self,
        kind: str,
        sha: str,
        size: int,
        *,
        mime: str | None = None,
        name: str | None = None,
        width: int = 0,
        height: int = 0,
        duration: int = 0,
    ) -> StoredFile:
        number = len(self._by_id) + 1
        digest = hashlib.sha256(f"{sha}:{number}".encode()).digest()
        unique = hashlib.sha256(f"{sha}:{kind}".encode()).digest()
        mime = mime or DEFAULT_MIME.get(kind, "application/octet-stream")
        stored = StoredFile(
            file_id=PREFIXES[kind] + urlsafe_b64encode(digest[:30]).decode(),
            unique_id=UNIQUE_PREFIX + urlsafe_b64encode(unique[:9]).decode(),
            kind=kind,
            sha=sha,
            size=size,
            path=f"{kind}s/file_{number}{_extension(name, mime)}",
            mime=mime,
            name=name,
            width=width,
            height=height,
            duration=duration,
        )
        self._register(stored)
        self._store.save("file", stored.file_id, stored)
        return stored

    def _register(self, stored: StoredFile) -> None:
        self._by_id[stored.file_id] = stored
        self._by_path[stored.path] = stored

    # --- as the Bot API shows them ------------------------------------------------------------

    def photo_wire(self, stored: StoredFile) -> list[dict[str, Any]]:
        return [self._size_wire(self._by_id[file_id]) for file_id in stored.sizes]

    def _size_wire(self, stored: StoredFile) -> dict[str, Any]:
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.unique_id,
            "file_size": stored.size,
            "width": stored.width,
            "height": stored.height,
        }

    def wire(self, stored: StoredFile) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "file_id": stored.file_id,
            "file_unique_id": stored.unique_id,
            "file_size": stored.size,
            **stored.extra,
        }
        if stored.kind in NAMED_KINDS and stored.name:
            wire["file_name"] = stored.name
        if stored.kind not in {"sticker", "photo", "thumbnail"}:
            wire["mime_type"] = stored.mime
        if stored.kind in FRAMED_KINDS:
            wire.update(width=stored.width, height=stored.height)
        if stored.kind in TIMED_KINDS:
            wire["duration"] = stored.duration
        if stored.kind == "sticker":
            wire.update(type="regular", is_animated=False, is_video=False)
        if stored.thumb and (thumb := self._by_id.get(stored.thumb)):
            wire["thumbnail"] = self._size_wire(thumb)
        return wire


def _clip_fields(clip: Clip) -> dict[str, int]:
    return {"width": clip.width, "height": clip.height, "duration": clip.duration}


def _extension(name: str | None, mime: str) -> str:
    suffix = Path(name).suffix if name else ""
    if suffix and suffix[1:].isalnum():
        return suffix.lower()
    return mimetypes.guess_extension(mime) or ""


__all__ = ["FileStore", "PictureError", "StoredFile"]
