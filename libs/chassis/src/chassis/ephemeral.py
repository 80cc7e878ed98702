"""Listening on core NATS: at most once, in order, one message at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from chassis import logs, messaging_spans
from chassis.nats_client import PatchedClient
from chassis.wire import Frame

log = logs.get("chassis.ephemeral")
HELD_MAX = 10_000


class Ephemeral(msgspec.Struct, frozen=True):
    """A message of core NATS: at most once, gone if nobody listened."""

    subject: str
    body: bytes
    headers: dict[str, str]
    reply: str


Callback = Callable[[Ephemeral], Awaitable[None]]


class Subscription:
    """Calls `callback` with the messages of a subject, in order, one at a time.

    When the callback falls behind, the oldest messages are dropped: core NATS promises nothing.
    """

    def __init__(self, client: PatchedClient, subject: str, callback: Callback) -> None:
        self._client = client
        self._subject = subject
        self._callback = callback
        self._held: deque[Frame] = deque(maxlen=HELD_MAX)
        self._arrived = asyncio.Event()
        self._sid = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self, queue: str = "") -> None:
        self._sid = await self._client.listen(self._subject, self._on_frame, queue)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Unsubscribe and finish what has arrived."""
        await self._client.unlisten(self._sid)
        task, self._task = self._task, None
        self._arrived.set()
        if task is not None and task is not asyncio.current_task():
            await task

    def _on_frame(self, frame: Frame) -> None:
        self._held.append(frame)
        self._arrived.set()

    async def _run(self) -> None:
        while True:
            while self._held:
                frame = self._held.popleft()
                try:
                    await self._callback(
                        Ephemeral(frame.subject, frame.body, frame.headers, frame.reply)
                    )
                except Exception:
                    template = messaging_spans.template_of(frame.subject)
                    log.exception("subscriber_failed", subject=template)
            if self._task is None:
                return
            self._arrived.clear()
            await self._arrived.wait()
