"""Delivers updates to the bot's webhook: one chat in order, chats in parallel, retried."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp

from simulators.telegram.clock import SimClock
from simulators.telegram.faults import Faults
from simulators.telegram.updates import Update, UpdateQueue

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
RETRY_DOUBLINGS_MAX = 6
REORDER_WAIT_SECONDS = 0.3
# A webhook's answer may carry one call, but none of these.
NOT_IN_ANSWER = ("get", "setwebhook", "deletewebhook", "close", "logout")

Answer = Callable[[str, dict[str, Any]], Awaitable[object]]


@dataclass(slots=True)
class Webhook:
    url: str
    secret: str = ""
    max_connections: int = 40
    ip_address: str | None = None
    has_certificate: bool = False
    last_error_date: int | None = None
    last_error_message: str | None = None


class WebhookSender:
    def __init__(
        self,
        queue: UpdateQueue,
        faults: Faults,
        clock: SimClock,
        *,
        retry_seconds: float,
        timeout_seconds: float,
        answer: Answer,
    ) -> None:
        self.webhook: Webhook | None = None
        self._queue = queue
        self._faults = faults
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._answer = answer
        self._lanes: dict[int, deque[Update]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(1)
        self._session: aiohttp.ClientSession | None = None
        self._arrived = asyncio.Event()
        queue.on_push.append(self._accept)

    async def set(self, webhook: Webhook | None) -> None:
        await self._stop()
        self.webhook = webhook
        if webhook is None:
            return
        self._slots = asyncio.Semaphore(webhook.max_connections)
        connector = aiohttp.TCPConnector(limit=webhook.max_connections, ssl=False)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        for update in list(self._queue.pending.values()):
            self._accept(update)

    async def close(self) -> None:
        await self._stop()

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._lanes.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _accept(self, update: Update) -> None:
        if self.webhook is None:
            return
        self._lanes.setdefault(update.order_key, deque()).append(update)
        self._arrived.set()
        if update.order_key not in self._tasks:
            lane = asyncio.create_task(self._drain(update.order_key))
            self._tasks[update.order_key] = lane

    async def _drain(self, key: int) -> None:
        lane = self._lanes[key]
        while lane:
            await self._maybe_reorder(lane)
            update = lane[0]
            if update.update_id in self._queue.pending:
                await self._deliver(update)
                self._queue.done(update.update_id)
            # Dropping the pending updates may have emptied the lane meanwhile.
            if lane and lane[0] is update:
                lane.popleft()
        # No await between the last look at the lane and its removal: nothing slips in.
        del self._lanes[key], self._tasks[key]

    async def _maybe_reorder(self, lane: deque[Update]) -> None:
        if not self._faults.will_reorder():
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REORDER_WAIT_SECONDS
        while len(lane) < 2 and (left := deadline - loop.time()) > 0:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left)
        if len(lane) >= 2 and self._faults.reorder_now():
            lane[0], lane[1] = lane[1], lane[0]

    async def _deliver(self, update: Update) -> None:
        """Post until the bot says 2xx."""
        failures = 0
        while (error := await self._post(update)) is not None:
            self._note(error)
            delay = 0.0
            if failures:
                delay = self._retry_seconds * 2 ** min(failures, RETRY_DOUBLINGS_MAX)
            failures += 1
            await asyncio.sleep(max(delay, error.retry_after))
            if update.update_id not in self._queue.pending:
                return
        if self._faults.duplicate_now():
            await self._post(update)

    def _note(self, error: "DeliveryError") -> None:
        if self.webhook is not None:
            self.webhook.last_error_date = int(self._clock.now())
            self.webhook.last_error_message = error.message

    async def _post(self, update: Update) -> "DeliveryError | None":
        if self.webhook is None or self._session is None:
            return DeliveryError("Webhook was deleted")
        headers = {"Content-Type": "application/json"}
        if self.webhook.secret:
            headers[SECRET_HEADER] = self.webhook.secret
        body = json.dumps(update.body, ensure_ascii=False).encode()
        async with self._slots:
            self._queue.mark_delivered(update.update_id)
            try:
                async with self._session.post(
                    self.webhook.url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    text = await response.text(errors="replace")
                    if not 200 <= response.status <= 299:
                        return DeliveryError.refused(response)
            except TimeoutError:
                return DeliveryError("Read timeout expired")
            except aiohttp.ClientConnectorError:
                return DeliveryError("Connection refused")
            except aiohttp.ClientError:
                return DeliveryError("Connection reset by peer")
        await self._call_from_answer(text)
        return None

    async def _call_from_answer(self, text: str) -> None:
        with suppress(ValueError):
            call = json.loads(text) if text else None
            if not isinstance(call, dict):
                return
            method = str(call.pop("method", ""))
            if method and not method.lower().startswith(NOT_IN_ANSWER):
                await self._answer(method, call)


@dataclass(slots=True)
class DeliveryError:
    message: str
    retry_after: float = 0.0

    @classmethod
    def refused(cls, response: aiohttp.ClientResponse) -> "DeliveryError":
        header = response.headers.get("Retry-After", "")
        message = f"Wrong response from the webhook: {response.status} {response.reason}"
        return cls(message, float(header) if header.isdigit() else 0.0)
