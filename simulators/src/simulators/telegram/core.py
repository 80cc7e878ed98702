"""Everything one simulated bot consists of, in one place for its methods and its control API."""

import hashlib
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators.telegram.checkout import Checkouts
from simulators.telegram.clock import SimClock
from simulators.telegram.faults import Faults
from simulators.telegram.files import FileStore
from simulators.telegram.hub import Hub
from simulators.telegram.payments import Payments
from simulators.telegram.store import Store
from simulators.telegram.updates import UpdateQueue
from simulators.telegram.webhook import Answer, Webhook, WebhookSender
from simulators.telegram.world import World

Json = dict[str, Any]

CALLS_MAX = 100_000


@dataclass(slots=True)
class Options:
    token: str
    username: str = "vitrine_bot"
    first_name: str = "Vitrine"
    local: bool = False
    state: Path | None = None
    seed: int = 1
    latency_seconds: float = 0.0
    webhook_retry_seconds: float = 1.0
    webhook_timeout_seconds: float = 60.0
    # How long a bot may take to answer a button press and a pre-checkout query.
    callback_seconds: float = 900.0
    pre_checkout_seconds: float = 10.0
    draft_seconds: float = 30.0
    # What one download gets at most; 0: as fast as it goes.
    download_bytes_per_second: float = 0.0


@dataclass(slots=True)
class Callback:
    id: str
    user_id: int
    data: str
    chat_id: int
    message_id: int
    asked_at: float
    answered: bool = False


@dataclass(slots=True)
class Call:
    id: int
    method: str
    chat_id: int | None
    received_at: float
    at: float
    status: int = 0
    duration_ms: float = 0.0
    error: str | None = None
    fault: str | None = None


class Core:
    def __init__(self, options: Options, *, answer: Answer) -> None:
        self.options = options
        self.bot_id = int(options.token.partition(":")[0])
        self.clock = SimClock()
        self.hub = Hub()
        self.store = Store(options.state)
        self.faults = Faults(options.seed)
        self.bot: Json = {
            "id": self.bot_id,
            "is_bot": True,
            "first_name": options.first_name,
            "username": options.username,
        }
        self.world = World(bot=self.bot, clock=self.clock, store=self.store, hub=self.hub)
        folder = options.state.with_suffix(".files") if options.state else None
        self.files = FileStore(self.store, folder)
        self.updates = UpdateQueue(self.clock, self.store, self.faults)
        self.payments = Payments(self.store)
        self.checkouts = Checkouts()
        self.webhooks = WebhookSender(
            self.updates,
            self.faults,
            self.clock,
            retry_seconds=options.webhook_retry_seconds,
            timeout_seconds=options.webhook_timeout_seconds,
            answer=answer,
        )
        self.callbacks: dict[str, Callback] = {}
        self.inline_queries: dict[str, Json] = {}
        self.commands: dict[str, list[Json]] = {}
        for body in self.store.load("commands"):
            self.commands = body
        self.calls: deque[Call] = deque(maxlen=CALLS_MAX)
        self._call_ids = 0
        self._query_ids = 0

    async def start(self) -> None:
        for body in self.store.load("webhook"):
            if body.get("url"):
                await self.webhooks.set(Webhook(**body))

    async def close(self) -> None:
        self.updates.release()
        self.checkouts.close()
        await self.webhooks.close()
        self.store.close()
        self.files.close()

    async def reset(self) -> None:
        """Forget people, messages, files, faults and the webhook; ids go on from where they are."""
        await self.webhooks.set(None)
        self.world.clear()
        self.files.clear()
        self.updates.clear()
        self.payments.clear()
        self.faults.reset()
        self.callbacks.clear()
        self.inline_queries.clear()
        self.commands.clear()
        self.calls.clear()
        self.store.forget()
        self.world.announce({"type": "reload"})

    async def set_webhook(self, webhook: Webhook | None) -> None:
        await self.webhooks.set(webhook)
        self.store.save("webhook", "webhook", webhook or {})

    def commands_changed(self) -> None:
        self.store.save("commands", "commands", dict(self.commands))
        self.world.announce({"type": "commands"})

    def next_query_id(self) -> str:
        """Query ids look like the real ones: long, decimal, not guessable from the last."""
        self._query_ids += 1
        seed = f"{self.options.token}:{time.time_ns()}:{self._query_ids}"
        return str(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") >> 1)

    def log_call(self, method: str, chat_id: int | None, received_at: float) -> Call:
        self._call_ids += 1
        call = Call(self._call_ids, method, chat_id, received_at, time.time())
        self.calls.append(call)
        return call
