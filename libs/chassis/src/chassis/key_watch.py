"""Watching keys: an ordered consumer that is made anew whenever it may have missed something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, Self
from uuid import uuid4

from chassis import logs
from chassis.broker import ApiError, Broker
from chassis.deliveries import AckSubject, BrokerUnavailableError, is_delivery
from chassis.nats_client import NatsError
from chassis.wire import Frame, publish_frame

log = logs.get("chassis.key_watch")
HEARTBEAT = timedelta(seconds=5)
SILENCE_MAX_SECONDS = HEARTBEAT.total_seconds() * 2.5
ABANDONED_AFTER = timedelta(seconds=30)
RETRY_FIRST_SECONDS = 0.1
RETRY_MAX_SECONDS = 2.0
STATUS_CONTROL = 100
LAST_CONSUMER = "Nats-Last-Consumer"
STALLED = "Nats-Consumer-Stalled"
DELETED = frozenset({"DEL", "PURGE"})


class Entry(NamedTuple):
    value: bytes
    revision: int


class Change(NamedTuple):
    """`entry` is None when the key was deleted."""

    key: str
    entry: Entry | None


def is_deleted(headers: Mapping[str, str], *, markers: bool = True) -> bool:
    """Whether a message says that its key is gone; a server's marker only says why."""
    return headers.get("KV-Operation") in DELETED or (markers and "Nats-Marker-Reason" in headers)


class KeyWatch:
    """Current values first, then changes, until `stop`. For one reader."""

    def __init__(
        self,
        broker: Broker,
        stream: str,
        filters: Sequence[str],
        key_of: Callable[[str], str],
        accept: Callable[[str], bool],
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._filters = list(filters)
        self._key_of = key_of
        self._accept = accept
        self._changes: dict[str, Change] = {}
        self._sid: int | None = None
        self._consumer = ""
        self._consumer_sequence = 0
        self._stream_sequence = 0
        self._initial_left = -1
        self._heard_at = 0.0
        self._lost = True
        self._stopped = False
        self._retry_seconds = RETRY_FIRST_SECONDS
        self._news = asyncio.Event()
        self._forget_reconnect = broker.on_reconnect(self._reconnected)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._stopped:
            if self._changes:
                return self._changes.pop(next(iter(self._changes)))
            if self._lost:
                await self._open()
            else:
                await self._wait()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def initial(self) -> AsyncIterator[Change]:
        """Yield the current values only."""
        while not self._stopped:
            while self._changes:
                yield self._changes.pop(next(iter(self._changes)))
            if self._lost:
                await self._open()
            elif self._initial_left == 0:
                return
            else:
                await self._wait()

    async def stop(self) -> None:
        """End the iteration and delete the consumer; the server would do so a little later."""
        if self._stopped:
            return
        self._stopped = True
        self._news.set()
        self._forget_reconnect()
        await self._close()

    async def _open(self) -> None:
        try:
            await self._close()
            await self._create()
        except (BrokerUnavailableError, ApiError, NatsError) as error:
            log.warning("watch_postponed", stream=self._stream, reason=str(error))
            self._news.clear()
            await self._pause(self._retry_seconds)
            self._retry_seconds = min(self._retry_seconds * 2, RETRY_MAX_SECONDS)
        else:
            self._retry_seconds = RETRY_FIRST_SECONDS

    async def _create(self) -> None:
        self._lost = False
        self._consumer_sequence = 0
        self._heard_at = asyncio.get_running_loop().time()
        self._consumer = uuid4().hex
        inbox = self._broker.nc.new_inbox()
        config: dict[str, object] = {
            "name": self._consumer,
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT.total_seconds() * 1e9),
            "inactive_threshold": int(ABANDONED_AFTER.total_seconds() * 1e9),
            "filter_subjects": self._filters,
        }
        if self._stream_sequence:
            # The bucket keeps the last message of each key: nothing newer can be missed.
            config["deliver_policy"] = "by_start_sequence"
            config["opt_start_seq"] = self._stream_sequence + 1
        self._sid = await self._broker.nc.listen(inbox, self._on_frame)
        try:
            made = await self._broker.api(
                f"CONSUMER.CREATE.{self._stream}.{self._consumer}",
                {"stream_name": self._stream, "config": config, "action": "create"},
            )
        except BaseException:
            self._lost = True
            raise
        if self._initial_left < 0:
            # Some may have arrived before this answer; those were counted off below zero.
            waiting = made.get("num_pending", 0) + made["delivered"]["consumer_seq"]
            self._initial_left = max(0, waiting - self._consumer_sequence)

    async def _close(self) -> None:
        sid, self._sid = self._sid, None
        consumer, self._consumer = self._consumer, ""
        if sid is None:
            return
        await self._broker.nc.unlisten(sid)
        if self._broker.connected and consumer:
            try:
                await self._broker.api(f"CONSUMER.DELETE.{self._stream}.{consumer}")
            except (BrokerUnavailableError, ApiError) as error:
                # Gone with the server's restart, or in half a minute: it is ephemeral.
                log.debug("watch_left", stream=self._stream, reason=str(error))

    async def _wait(self) -> None:
        self._news.clear()
        left = self._heard_at + SILENCE_MAX_SECONDS - asyncio.get_running_loop().time()
        if left <= 0 or not await self._pause(left):
            log.warning("watch_silent", stream=self._stream)
            self._lost = True

    async def _pause(self, seconds: float) -> bool:
        """Wait for news. False: there was none in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _reconnected(self) -> None:
        self._lost = True
        self._news.set()

    def _on_frame(self, frame: Frame) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if is_delivery(frame):
            self._on_message(frame)
        elif frame.status == STATUS_CONTROL:
            self._on_control(frame)
        else:
            self._lost = True
        if self._changes or self._lost or self._initial_left == 0:
            self._news.set()

    def _on_message(self, frame: Frame) -> None:
        position = AckSubject.parse(frame.reply)
        if self._lost or position.consumer != self._consumer:
            return
        self._consumer_sequence += 1
        if position.consumer_sequence != self._consumer_sequence:
            self._lost = True
            return
        self._stream_sequence = position.stream_sequence
        if self._initial_left > 0:
            self._initial_left -= 1
        key = self._key_of(frame.subject)
        if not self._accept(key):
            return
        deleted = is_deleted(frame.headers, markers=self._broker.nc.mitigations.markers)
        entry = None if deleted else Entry(frame.body, position.stream_sequence)
        self._changes.pop(key, None)  # the latest change of a key goes to the end
        self._changes[key] = Change(key, entry)

    def _on_control(self, frame: Frame) -> None:
        headers = frame.headers
        answer_to = frame.reply or headers.get(STALLED, "")
        if answer_to:
            self._broker.nc.send_soon([publish_frame(answer_to, b"")])
        last = headers.get(LAST_CONSUMER, "")
        if last.isdigit() and int(last) > self._consumer_sequence:
            self._lost = True
