"""A real VLESS client: v2ray with a SOCKS door, and a person behind it who opens pages."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from simulators.ports import free_port
from simulators.vless_node.params import VlessParams, parse_link
from simulators.vless_node.target import BODY, TICK_SECONDS, Target

START_SECONDS = 60.0
ANSWER_SECONDS = 15.0
STALL_SECONDS = 10.0
"""Five hundred ticks without one: the stream counts as interrupted. A busy machine misses fifty."""
_SOCKS_HELLO = b"\x05\x01\x00"
_SOCKS_CONNECT = b"\x05\x01\x00\x01\x7f\x00\x00\x01"


class Stream:
    """A download in progress. It notices an end and a stall."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received = 0
        self.interrupted = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        with suppress(OSError, TimeoutError):
            while True:
                async with asyncio.timeout(STALL_SECONDS):
                    data = await self._reader.read(4096)
                if not data:
                    break
                self.received += len(data)
        self.interrupted.set()

    @property
    def alive(self) -> bool:
        return not self.interrupted.is_set()

    async def goes_on(self, seconds: float = 10 * TICK_SECONDS) -> bool:
        """Whether it lives on for a while and then brings something new, uninterrupted."""
        before = self.received
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.interrupted.wait()
        while self.alive and self.received == before:  # noqa: ASYNC110 - a stall ends it
            await asyncio.sleep(TICK_SECONDS)
        return self.alive

    async def ends_within(self, seconds: float) -> bool:
        """Whether it is interrupted before so many seconds are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.interrupted.wait()
        return not self.alive

    async def close(self) -> None:
        self._reading.cancel()
        self._writer.close()


class VlessClient:
    """One client with one key."""

    def __init__(
        self, params: VlessParams, v2ray: str, target: Target, *, muxed: bool = False
    ) -> None:
        self.params = params
        self._muxed = muxed
        self._v2ray = v2ray
        self._target = target
        self._folder = Path(tempfile.mkdtemp(prefix="vitrine-vless-"))
        self.door = free_port()
        """Where the person's programs connect (SOCKS 5)."""
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: list[Stream] = []

    async def start(self) -> None:
        config = self._folder / "client.json"
        door = {
            "listen": "127.0.0.1",
            "port": self.door,
            "protocol": "socks",
            "settings": {"udp": True},
        }
        config.write_text(
            json.dumps(
                {
                    "log": {"loglevel": "none", "access": "none"},
                    "inbounds": [door],
                    "outbounds": [{**self.params.outbound(), **self._mux()}],
                }
            )
        )
        self._process = subprocess.Popen(  # noqa: ASYNC220 - a stand-in may block for a moment
            [self._v2ray, "-config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(START_SECONDS):
            while not await self._door_is_open():
                if self._process.poll() is not None:
                    raise RuntimeError(f"the VLESS client ended with {self._process.returncode}")
                await asyncio.sleep(0.01)

    def _mux(self) -> dict[str, object]:
        return {"mux": {"enabled": True, "concurrency": 8}} if self._muxed else {}

    async def _door_is_open(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.door)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self) -> None:
        for stream in self._streams:
            await stream.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def passes(self, timeout_seconds: float = ANSWER_SECONDS) -> bool:
        """Whether a new connection gets the page: False when refused, and also when it hangs."""
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                reader, writer = await self._through("/")
                # Not to the end: v2ray closes two seconds after the target did (uplinkOnly).
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(len(BODY))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        finally:
            if writer is not None:
                writer.close()
        return head.startswith(b"HTTP/1.1 200") and body == BODY

    async def stream(self) -> Stream:
        """Begin a download that never ends by itself."""
        reader, writer = await self._through("/stream")
        async with asyncio.timeout(ANSWER_SECONDS):
            await reader.readuntil(b"\r\n\r\n")
        stream = Stream(reader, writer)
        self._streams.append(stream)
        return stream

    async def _through(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door)
        writer.write(_SOCKS_HELLO)
        await reader.readexactly(2)
        writer.write(_SOCKS_CONNECT + self._target.port.to_bytes(2, "big"))
        await reader.readexactly(10)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: target\r\nconnection: close\r\n\r\n".encode())
        return reader, writer


@asynccontextmanager
async def vless_client(
    to: str | VlessParams, *, v2ray: str, target: Target | None = None, muxed: bool = False
) -> AsyncIterator[VlessClient]:
    """A client for a vless:// link (or what one says), ended with the block."""
    params = parse_link(to) if isinstance(to, str) else to
    own = target or Target()
    if target is None:
        await own.start()
    client = VlessClient(params, v2ray, own, muxed=muxed)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()
        if target is None:
            await own.stop()
