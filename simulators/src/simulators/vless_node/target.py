"""What people reach through the VPN: one page, and a stream that never ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

BODY = b"you are through"
TICK = b"tick\n"
TICK_SECONDS = 0.02
STOP_SECONDS = 5.0


class Target:
    """An HTTP server on loopback. `/stream` ticks until somebody hangs up."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._stopping = True
        async with asyncio.timeout(STOP_SECONDS):
            while self._writers:  # noqa: ASYNC110 - a handful of them, once
                await asyncio.sleep(TICK_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if request.startswith(b"GET /stream"):
                await self._tick(writer)
            else:
                head = (
                    f"HTTP/1.1 200 OK\r\ncontent-length: {len(BODY)}\r\nconnection: close\r\n\r\n"
                )
                writer.write(head.encode() + BODY)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _tick(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while not (writer.is_closing() or self._stopping):
            writer.write(TICK)
            await writer.drain()
            await asyncio.sleep(TICK_SECONDS)
