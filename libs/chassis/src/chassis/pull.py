"""A never-ending pull from one durable consumer: one inbox, demand kept topped up."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from chassis import logs
from chassis.deliveries import Delivery, is_delivery
from chassis.nats_client import NatsError, PatchedClient
from chassis.wire import Frame, publish_frame
from contracts.topology import ACK_WAIT_COMMANDS, BATCH_MAX

log = logs.get("chassis.pull")
IDLE_HEARTBEAT = timedelta(seconds=5)
EXPIRES = timedelta(seconds=30)
STALE_AFTER = ACK_WAIT_COMMANDS * 0.9
HEARTBEATS_MISSED = 2.5
RETRY_FIRST_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0
HEARTBEAT = 100
BAD_REQUEST = 400
NO_MESSAGES = 404
TIMED_OUT = 408
PENDING_HEADER = "Nats-Pending-Messages"
Watch = Callable[[Callable[[], None]], Callable[[], None]]


def pull_request(
    *,
    batch: int = 1,
    group: str = "",
    priority: int | None = None,
    expires: timedelta | None = None,
    idle_heartbeat: timedelta | None = None,
) -> bytes:
    """Return a pull request; without `expires` it is answered at once (`no_wait`)."""
    wanted: dict[str, object] = {"batch": batch}
    if expires is None:
        wanted["no_wait"] = True
    else:
        wanted["expires"] = int(expires.total_seconds() * 1e9)
        if idle_heartbeat is not None:
            wanted["idle_heartbeat"] = int(idle_heartbeat.total_seconds() * 1e9)
    if group:
        wanted["group"] = group
        if priority is not None:
            wanted["priority"] = priority
    return json.dumps(wanted).encode()


def next_subject(stream: str, consumer: str) -> str:
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"


class Pull:
    """Messages of one durable consumer, for one reader.

    At most `batch` messages are held here or asked for; a message that waited here longer than
    `stale_after` is dropped, because the server is about to deliver it again.
    """

    def __init__(
        self,
        client: PatchedClient,
        on_reconnect: Watch,
        stream: str,
        consumer: str,
        *,
        batch: int = BATCH_MAX,
        group: str = "",
        priority: int | None = None,
        idle_heartbeat: timedelta = IDLE_HEARTBEAT,
        expires: timedelta = EXPIRES,
        stale_after: timedelta = STALE_AFTER,
    ) -> None:
        self._client = client
        self._on_reconnect = on_reconnect
        self._subject = next_subject(stream, consumer)
        self._name = f"{stream}.{consumer}"
        self._batch = batch
        self._group = group
        self._priority = priority
        self._expires = expires
        self._idle_heartbeat = idle_heartbeat
        self._silence_max = idle_heartbeat.total_seconds() * HEARTBEATS_MISSED
        self._stale_after = stale_after.total_seconds()
        self._buffer: deque[Delivery] = deque()
        self._requested = 0
        self._heard_at = 0.0
        self._retry_at = 0.0
        self._retry_seconds = RETRY_FIRST_SECONDS
        self._inbox = ""
        self._sid: int | None = None
        self._forget_reconnect: Callable[[], None] | None = None
        self._stopped = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Delivery]:
        batch = await self.next()
        if not batch:
            raise StopAsyncIteration
        return batch

    async def next(self, max_messages: int | None = None) -> list[Delivery]:
        """Return what is there, at least one, waiting if need be; empty once stopped."""
        wanted = max_messages or self._batch
        while not self._stopped:
            if self._sid is None:
                await self._open()
            taken = self._take(wanted)
            await self._request()
            if taken:
                return taken
            await self._wait()
        return []

    async def stop(self) -> None:
        """End `next`, withdraw the demand, and hand back what was not taken."""
        self._stopped = True
        self._wake()
        if self._forget_reconnect is not None:
            self._forget_reconnect()
        if self._sid is not None:
            await self._client.unlisten(self._sid)
        while self._buffer:
            self._buffer.popleft().nak_soon()

    async def _open(self) -> None:
        self._inbox = self._client.new_inbox()
        self._forget_reconnect = self._on_reconnect(self._reconnected)
        self._sid = await self._client.listen(self._inbox, self._on_frame)

    def _take(self, wanted: int) -> list[Delivery]:
        oldest = asyncio.get_running_loop().time() - self._stale_after
        taken: list[Delivery] = []
        while self._buffer and len(taken) < wanted:
            delivery = self._buffer.popleft()
            if delivery.received_at >= oldest:
                taken.append(delivery)
        return taken

    async def _request(self) -> None:
        """Ask for more once at least half of `batch` is neither held nor asked for."""
        now = asyncio.get_running_loop().time()
        if self._stopped or not self._client.is_connected or now < self._retry_at:
            return
        if self._requested and now - self._heard_at > self._silence_max:
            log.warning("pull_silent", consumer=self._name)
            self._requested = 0
        room = self._batch - len(self._buffer) - self._requested
        if room < max(1, self._batch // 2):
            return
        body = pull_request(
            batch=room,
            group=self._group,
            priority=self._priority,
            expires=self._expires,
            idle_heartbeat=self._idle_heartbeat,
        )
        self._requested += room
        self._heard_at = now
        try:
            await self._client.send([publish_frame(self._subject, body, reply=self._inbox)])
        except NatsError:
            self._postpone()

    async def _wait(self) -> None:
        """Wait for a frame, a reconnect or the stop; for a silent server only so long."""
        loop = asyncio.get_running_loop()
        if self._buffer or self._stopped:
            return
        until = self._heard_at + self._silence_max
        if self._retry_at > loop.time():
            until = self._retry_at
        elif not self._client.is_connected:
            until = loop.time() + self._silence_max
        self._waiter = loop.create_future()
        try:
            async with asyncio.timeout_at(until + 0.001):
                await self._waiter
        except TimeoutError:
            pass
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_frame(self, frame: Frame) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if is_delivery(frame):
            self._requested = max(0, self._requested - 1)
            self._retry_seconds = RETRY_FIRST_SECONDS
            self._buffer.append(Delivery(self._client, frame, self._heard_at))
            self._wake()
        elif frame.status != HEARTBEAT:
            self._on_refusal(frame)
            self._wake()

    def _on_refusal(self, frame: Frame) -> None:
        """A request ended early. What it still owed is named, or the whole demand is void."""
        owed = frame.headers.get(PENDING_HEADER, "")
        if frame.status in (TIMED_OUT, NO_MESSAGES) and owed.isdigit():
            self._requested = max(0, self._requested - int(owed))
            return
        self._requested = 0
        self._postpone()
        log.warning(
            "pull_refused",
            consumer=self._name,
            status=frame.status,
            reason=frame.description,
            retry_seconds=self._retry_seconds,
        )

    def _postpone(self) -> None:
        self._requested = 0
        self._retry_at = asyncio.get_running_loop().time() + self._retry_seconds
        self._retry_seconds = min(self._retry_seconds * 2, RETRY_MAX_SECONDS)

    def _reconnected(self) -> None:
        """The server forgot the demand of the connection that broke."""
        self._requested = 0
        self._retry_at = 0.0
        self._wake()
