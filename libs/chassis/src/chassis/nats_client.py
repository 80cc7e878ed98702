"""The nats-py client, repaired: every trap of nats-py 2.16 that was met, and a switch for each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from chassis import logs
from chassis.admission import AdmittedClient, NotAdmittedError
from chassis.identity import Identity
from chassis.nats_py import (
    ConnectionClosedError,
    NatsError,
    OutboundBufferLimitError,
    UnexpectedEOF,
)
from chassis.wire import Frame, publish_frame

__all__ = [
    "NO_RESPONDERS",
    "ConnectionLostError",
    "Mitigations",
    "NatsError",
    "NotAdmittedError",
    "PatchedClient",
    "Sink",
    "UnexpectedEOF",
]

log = logs.get("chassis.nats")
Sink = Callable[[Frame], None]
PING = b"PING\r\n"
FLUSH_SECONDS_MAX = 5.0
BARRIER_SECONDS_MAX = 2.0
NO_RESPONDERS = 503


class ConnectionLostError(NatsError):
    """The connection broke before the answer came."""

    def __str__(self) -> str:
        return "nats: connection lost"


class Mitigations(msgspec.Struct, frozen=True, kw_only=True):
    """Repairs of nats-py 2.16. Each can be taken out, so that a test sees why it is there."""

    pong: bool = True
    """A cancelled flush leaves a dead future; its pong must not end the read loop."""
    order: bool = True
    """A ping goes out behind the commands written before it, so its pong proves them done."""
    cancel: bool = True
    """A cancel that arrives together with a result is not swallowed."""
    orphans: bool = True
    """A pull that is given up is withdrawn, and what it was late to bring is handed back."""
    mux: bool = True
    """Pulls have an inbox of their own: the shared reply inbox drops JetStream deliveries."""
    markers: bool = True
    """A key-value entry that is a server's expiry marker counts as absent."""
    permission: bool = True
    """A permission violation is fatal instead of a line in a log and a timeout."""
    reconnect: bool = True
    """Reconnect for ever instead of sixty times."""


class PatchedClient(AdmittedClient):
    """A connection whose inboxes are plain callbacks: no queue and no task for each of them.

    It reaches into nats-py's own attributes; the version is pinned and tests/nats guards them.
    """

    def __init__(self, mitigations: Mitigations, identity: Identity | None = None) -> None:
        super().__init__(identity or Identity(user=""))
        self.mitigations = mitigations
        self._sinks: dict[int, Sink] = {}
        self._replies: dict[str, asyncio.Future[Frame]] = {}
        self._barriers: set[asyncio.Future[bool]] = set()
        self._tokens = itertools.count(1)
        self._reply_prefix = ""

    async def open_replies(self) -> None:
        """Subscribe the one inbox that answers to `ask` come to; call it once, when connected."""
        self._reply_prefix = self.new_inbox()
        await self.listen(f"{self._reply_prefix}.*", self._on_reply)

    def _on_reply(self, frame: Frame) -> None:
        future = self._replies.pop(frame.subject.rpartition(".")[2], None)
        if future is not None and not future.done():
            future.set_result(frame)

    def expect_reply(self) -> tuple[str, asyncio.Future[Frame]]:
        """Return a reply subject and the future of what comes to it; `forget_reply` ends it."""
        token = str(next(self._tokens))
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._replies[token] = future
        return f"{self._reply_prefix}.{token}", future

    def forget_reply(self, reply: str) -> None:
        self._replies.pop(reply.rpartition(".")[2], None)

    async def ask(
        self,
        subject: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float,
    ) -> Frame:
        """Publish and wait for the one answer; a 503 status is one.

        Raises TimeoutError, or ConnectionLostError as soon as no answer can come any more.
        """
        if not self.mitigations.cancel:
            message = await self.request(
                subject, body, timeout=timeout, headers=dict(headers or {})
            )
            return Frame(message.subject, message.reply, message.data, None)
        reply, future = self.expect_reply()
        try:
            await self.send([publish_frame(subject, body, headers, reply)])
            # Not wait_for(): on 3.11 it returns a result that arrives with a cancel.
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self.forget_reply(reply)

    async def listen(self, subject: str, sink: Sink, queue: str = "") -> int:
        """Call `sink` with every frame of a subject, from the read loop: it must not block."""
        sid = self._sid + 1  # the number subscribe() takes before its first await
        self._sinks[sid] = sink
        try:
            # A subscription with a future starts no task; the future itself is never resolved.
            never = asyncio.get_running_loop().create_future()
            await self.subscribe(subject, queue=queue, future=never)
        except BaseException:
            self._sinks.pop(sid, None)
            raise
        return sid

    async def unlisten(self, *sids: int) -> None:
        """Unsubscribe. What is on its way still reaches its sink before this returns."""
        known = [sid for sid in sids if sid in self._sinks]
        if not known:
            return
        try:
            for sid in known:
                self._subs.pop(sid, None)  # so that a reconnect does not bring it back
            if self.is_connected:
                await self.send([b"UNSUB %d\r\n" % sid for sid in known])
                await self.barrier()
        finally:
            for sid in known:
                self._sinks.pop(sid, None)

    def unlisten_soon(self, *sids: int) -> None:
        """Unsubscribe inboxes to which nothing can be on its way any more."""
        known = [sid for sid in sids if self._sinks.pop(sid, None) is not None]
        for sid in known:
            self._subs.pop(sid, None)
        if known and self.is_connected:
            self.send_soon([b"UNSUB %d\r\n" % sid for sid in known])

    def abandon(self, *sids: int) -> None:
        """What a cancelled nats-py `fetch` does: leave the inbox, and the pull on the server."""
        for sid in sids:
            self._sinks[sid] = lambda _frame: None

    def send_soon(self, frames: Iterable[bytes]) -> None:
        """Queue protocol commands and kick the flusher, without waiting for the socket."""
        if self.is_closed:
            raise ConnectionClosedError
        frames = list(frames)
        size = sum(map(len, frames))
        if not self.is_connected and self._pending_data_size + size > self._max_pending_size:
            raise OutboundBufferLimitError
        self._pending.extend(frames)
        self._pending_data_size += size
        self.stats["out_msgs"] += len(frames)
        self.stats["out_bytes"] += size
        queue = self._flush_queue
        if self.is_connected and queue is not None and queue.empty():
            queue.put_nowait(asyncio.get_running_loop().create_future())

    async def send(self, frames: Iterable[bytes]) -> None:
        """Queue protocol commands; waits for the socket only when much is queued already."""
        self.send_soon(frames)
        if 0 < self._max_pending_size < self._pending_data_size:
            await self._flush_pending(force_flush=True)

    async def barrier(self) -> None:
        """Wait until the server has seen everything written so far, or is gone."""
        if not self.is_connected:
            return
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._barriers.add(pong)
        try:
            await self._send_ping(pong)
            async with asyncio.timeout(BARRIER_SECONDS_MAX):
                await asyncio.shield(pong)
        except TimeoutError:
            log.warning("nats_slow", waited_seconds=BARRIER_SECONDS_MAX)
        finally:
            self._barriers.discard(pong)

    def disconnected(self) -> None:
        """Nobody will answer what was asked on the connection that is gone."""
        for pong in self._barriers:
            if not pong.done():
                pong.set_result(False)
        for answer in self._replies.values():
            if not answer.done():
                answer.set_exception(ConnectionLostError())
                answer.exception()  # seen: whoever asked may have given up already

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        sink = self._sinks.get(sid)
        if sink is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            # The server lets any bytes into a subject; whoever gets them knows no such subject.
            sink(
                Frame(
                    subject.decode(errors="replace"),
                    reply.decode(errors="replace"),
                    data,
                    headers or None,
                )
            )
        except Exception:
            # It would end the read loop, and with it every other inbox of this connection.
            log.exception("inbox_failed")

    async def _process_pong(self) -> None:
        if not self.mitigations.pong:
            await super()._process_pong()
        elif self._pongs:
            pong = self._pongs.pop(0)
            if not pong.done():
                pong.set_result(True)
            self._pongs_received += 1
            self._pings_outstanding = 0

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        if not self.mitigations.order:
            await super()._send_ping(future)
            return
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        self.send_soon([PING])

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        """Wake the flusher. nats-py's own swallows a cancel that arrives here."""
        alive = self._flusher_task is not None and not self._flusher_task.done()
        if not self.mitigations.cancel or not self.is_connected or not alive:
            return await super()._flush_pending(force_flush)
        assert self._flush_queue is not None
        written = asyncio.get_running_loop().create_future()
        if not force_flush and not self._flush_queue.empty():
            written.set_result(None)  # a kick already waits: it will write this as well
            return written
        await self._flush_queue.put(written)
        if force_flush:
            try:
                async with asyncio.timeout(FLUSH_SECONDS_MAX):
                    await asyncio.shield(written)
            except TimeoutError:
                log.warning("nats_slow", waited_seconds=FLUSH_SECONDS_MAX)
        return written
