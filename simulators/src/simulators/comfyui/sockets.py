"""WebSocket clients: who is connected under which clientId, and one ordered stream of frames."""

import asyncio
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PREVIEW_EVENT = 1
PREVIEW_WITH_METADATA_EVENT = 4
IMAGE_FORMATS = {"image/jpeg": 1, "image/png": 2}


@dataclass(eq=False)
class Client:
    sid: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    silent: bool = False
    features: dict[str, Any] = field(default_factory=dict)

    def wants_preview_metadata(self) -> bool:
        return bool(self.features.get("supports_preview_metadata"))

    def abort(self) -> None:
        """Cut the connection with no closing handshake: the peer sees 1006."""
        if self.transport is not None:
            self.transport.abort()


@dataclass(frozen=True)
class _Frame:
    sid: str | None
    body: str | bytes
    client: Client | None = None


def event(kind: str, data: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "data": data})


def preview_frame(image: bytes, mime: str) -> bytes:
    return struct.pack(">II", PREVIEW_EVENT, IMAGE_FORMATS[mime]) + image


def preview_frame_with_metadata(image: bytes, metadata: dict[str, Any]) -> bytes:
    text = json.dumps(metadata).encode()
    return struct.pack(">II", PREVIEW_WITH_METADATA_EVENT, len(text)) + text + image


class Sockets:
    """The registry keyed by clientId and the single publisher that keeps frames in order."""

    def __init__(self, *, orphan_bug: bool, unfrozen: asyncio.Event) -> None:
        self.orphan_bug = orphan_bug
        self._registered: dict[str, Client] = {}
        self._all: list[Client] = []
        self._unfrozen = unfrozen
        self._outbox: asyncio.Queue[_Frame] = asyncio.Queue()

    def register(self, client: Client) -> None:
        self._registered[client.sid] = client
        self._all.append(client)

    def unregister(self, client: Client) -> None:
        """With the bug, closing any socket of a clientId forgets whichever is current."""
        self._all.remove(client)
        if self.orphan_bug or self._registered.get(client.sid) is client:
            self._registered.pop(client.sid, None)

    def current(self, sid: str | None) -> Client | None:
        return None if sid is None else self._registered.get(sid)

    def clients(self) -> list[Client]:
        return list(self._all)

    def send(self, kind: str, data: dict[str, Any], sid: str | None) -> None:
        """To one clientId, or to every registered socket when `sid` is None."""
        self._outbox.put_nowait(_Frame(sid, event(kind, data)))

    def send_to(self, client: Client, kind: str, data: dict[str, Any]) -> None:
        self._outbox.put_nowait(_Frame(None, event(kind, data), client))

    def send_binary(self, body: bytes, sid: str | None) -> None:
        self._outbox.put_nowait(_Frame(sid, body))

    async def drained(self) -> None:
        await self._outbox.join()

    async def publish(self) -> None:
        while True:
            frame = await self._outbox.get()
            await self._unfrozen.wait()
            for client in self._receivers(frame):
                await self._deliver(client, frame.body)
            self._outbox.task_done()

    def _receivers(self, frame: _Frame) -> list[Client]:
        if frame.client is not None:
            return [frame.client]
        if frame.sid is None:
            return list(self._registered.values())
        client = self._registered.get(frame.sid)
        return [client] if client else []

    async def _deliver(self, client: Client, body: str | bytes) -> None:
        if client.silent or client.socket.closed:
            return
        try:
            if isinstance(body, str):
                await client.socket.send_str(body)
            else:
                await client.socket.send_bytes(body)
        except ConnectionError:
            client.silent = True
