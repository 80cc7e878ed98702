"""A wire to Postgres that tells the statements on it apart, to strike exactly at one of them.

It speaks as much of the frontend/backend protocol (version 3) as that takes: no TLS, and nothing
is changed. A statement is an Execute, a simple Query, or the end of a COPY's data; preparing one
is none.
"""

import asyncio
import re
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from devstack.ports import LOOPBACK

BEFORE = "before"
AFTER = "after"
COPY_DATA_ENDS = "(the end of a COPY's data)"
SSL_REQUEST = 80877103
READY_FOR_QUERY = b"Z"
COPY_IN = b"G"
SAVEPOINT = re.compile(r"__asyncpg_savepoint_\w+")
"""Each has a name of its own; what it is for is the same."""


class Point(NamedTuple):
    """A moment: before the `number`-th run of a statement is forwarded, or after its answer came.

    Neither the statement nor the answer, respectively, gets through.
    """

    statement: str
    number: int
    moment: str = BEFORE

    def __str__(self) -> str:
        return f"{self.moment} #{self.number} {self.statement[:70]}"


class Watch:
    """What is counted on all connections together, since it was armed."""

    def __init__(self, strike: Callable[[], None], ignored: Callable[[str], bool]) -> None:
        self._strike = strike
        self._ignored = ignored
        self._counts: Counter[str] = Counter()
        self._point: Point | None = None
        self.seen: list[Point] = []
        """Every counted statement, as the point before it."""
        self.struck = asyncio.Event()
        self.last_at = 0.0
        self.ignored_at: dict[str, float] = {}
        """When each ignored statement was last run."""

    def arm(self, point: Point | None = None) -> None:
        """Begin to count anew, and strike at `point`."""
        self._counts.clear()
        self.seen = []
        self._point = point
        self.struck.clear()

    def note(self, statement: str) -> str:
        """Count a statement; say when to strike: BEFORE it, AFTER it or never (empty)."""
        self.last_at = time.monotonic()
        if self._ignored(statement):
            self.ignored_at[statement] = self.last_at
            return ""
        self._counts[statement] += 1
        now = Point(statement, self._counts[statement])
        self.seen.append(now)
        point = self._point
        return point.moment if point is not None and point[:2] == now[:2] else ""

    def strike(self) -> None:
        self._point = None
        self._strike()
        self.struck.set()


class PostgresProxy:
    """Listens on a port of its own; every connection gets one to the server."""

    def __init__(self, server_port: int, watch: Watch) -> None:
        self.port = 0
        self._server_port = server_port
        self._watch = watch
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open.values():
            writer.close()  # not a cancel: the streams of Python 3.11 would log it as an error
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            opened = await asyncio.open_connection(LOOPBACK, self._server_port)
            connection = _Connection(self._watch, (reader, writer), opened)
            try:
                await connection.run()
            finally:
                opened[1].close()
        except OSError:
            return  # Postgres is not there: the client sees a closed connection
        finally:
            del self._open[task]
            writer.close()


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    def __init__(self, watch: Watch, client: Wire, server: Wire) -> None:
        self._watch = watch
        self._client, self._to_client = client
        self._server, self._to_server = server
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._strike_at_answer = False

    async def run(self) -> None:
        """Carry both directions until either side is gone, or it was struck."""
        await self._begin()
        ways = [asyncio.create_task(self._forth()), asyncio.create_task(self._back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _begin(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._client.readexactly(8)
                size, code = struct.unpack("!II", head)
                rest = await self._client.readexactly(size - 8)
                if code == SSL_REQUEST:
                    self._to_client.write(b"N")
                    continue
                self._to_server.write(head + rest)
                return

    async def _forth(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._client.readexactly(5)
                body = await self._client.readexactly(int.from_bytes(head[1:], "big") - 4)
                statement = self._statement(head[:1], body)
                moment = self._watch.note(statement) if statement else ""
                if moment == BEFORE:
                    self._watch.strike()
                    return
                self._strike_at_answer = self._strike_at_answer or moment == AFTER
                self._to_server.write(head + body)
                await self._to_server.drain()

    async def _back(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._server.readexactly(5)
                body = await self._server.readexactly(int.from_bytes(head[1:], "big") - 4)
                if self._strike_at_answer and head[:1] in (READY_FOR_QUERY, COPY_IN):
                    self._watch.strike()
                    return
                self._to_client.write(head + body)
                await self._to_client.drain()

    def _statement(self, kind: bytes, body: bytes) -> str:
        """What a message of the client's runs, if it runs anything."""
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._statements[name] = _one_line(text)
        elif kind == b"B":
            portal, name, _ = body.split(b"\0", 2)
            self._portals[portal] = self._statements[name]
        elif kind == b"E":
            return self._portals[body.split(b"\0", 1)[0]]
        elif kind == b"Q":
            return _one_line(body.rstrip(b"\0"))
        elif kind == b"c":
            return COPY_DATA_ENDS
        return ""


def _one_line(text: bytes) -> str:
    return SAVEPOINT.sub("savepoint", " ".join(text.decode().split()))
