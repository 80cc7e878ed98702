"""The bot's queue of updates and the long poll that empties it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from simulators.telegram.clock import SimClock, monotonic_ms
from simulators.telegram.errors import conflict
from simulators.telegram.faults import Faults
from simulators.telegram.store import Store
from simulators.telegram.world import UPDATE_IDS_PER_SECOND, first_id

Json = dict[str, Any]

KEPT_SECONDS = 24 * 3_600
LIMIT_MAX = 100
REORDER_WAIT_SECONDS = 0.3
LOG_MAX = 20_000
# Not sent unless a bot names them.
ON_REQUEST = {"chat_member", "message_reaction", "message_reaction_count"}
OTHER_POLL = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)


@dataclass(slots=True)
class Update:
    update_id: int
    kind: str
    order_key: int
    body: Json
    created_at: float
    created_ms: float = 0.0
    delivered_ms: float | None = None
    deliveries: int = 0

    def log_view(self) -> Json:
        return {
            "update_id": self.update_id,
            "kind": self.kind,
            "order_key": self.order_key,
            "created_at": self.created_ms,
            "delivered_at": self.delivered_ms,
            "deliveries": self.deliveries,
        }


class UpdateQueue:
    def __init__(self, clock: SimClock, store: Store, faults: Faults) -> None:
        self._clock = clock
        self._store = store
        self._faults = faults
        self.pending: dict[int, Update] = {}
        self.log: dict[int, Update] = {}
        self.allowed: list[str] = []
        self.next_id = first_id(clock.now(), UPDATE_IDS_PER_SECOND)
        self.on_push: list[Any] = []
        self._poll: asyncio.Future[bool] | None = None
        for body in store.load("queue"):
            self.next_id = max(self.next_id, body["next_id"])
            self.allowed = body["allowed"]
            for saved in body["pending"]:
                self.pending[saved["update_id"]] = Update(**saved)

    def clear(self) -> None:
        self.pending.clear()
        self.log.clear()
        self.allowed = []
        self._save()

    def _save(self) -> None:
        self._store.save("queue", "queue", self._snapshot)

    def _snapshot(self) -> Json:
        pending = [
            {name: getattr(update, name) for name in Update.__slots__}
            for update in self.pending.values()
        ]
        return {"next_id": self.next_id, "allowed": self.allowed, "pending": pending}

    def wants(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in ON_REQUEST

    def allow(self, kinds: Any) -> None:
        """An absent list keeps the old choice; an empty one means the default."""
        if isinstance(kinds, list):
            self.allowed = [str(kind) for kind in kinds]
            self._save()

    def push(self, kind: str, payload: Json, *, order_key: int) -> int | None:
        """Queue an update; None when the bot did not ask for this kind."""
        if not self.wants(kind):
            return None
        self._expire()
        update_id = self.next_id
        self.next_id += 1
        body = {"update_id": update_id, kind: payload}
        update = Update(update_id, kind, order_key, body, self._clock.now(), monotonic_ms())
        self.pending[update_id] = update
        self.log[update_id] = update
        if len(self.log) > LOG_MAX:
            self.log.pop(next(iter(self.log)))
        self._save()
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(True)
        for notify in self.on_push:
            notify(update)
        return update_id

    def _expire(self) -> None:
        oldest = self._clock.now() - KEPT_SECONDS
        while self.pending:
            first = next(iter(self.pending.values()))
            if first.created_at >= oldest:
                return
            del self.pending[first.update_id]

    def done(self, update_id: int) -> None:
        if self.pending.pop(update_id, None) is not None:
            self._save()

    def drop_all(self) -> None:
        self.pending.clear()
        self._save()

    def mark_delivered(self, update_id: int) -> None:
        if update := self.log.get(update_id):
            update.deliveries += 1
            if update.delivered_ms is None:
                update.delivered_ms = monotonic_ms()

    # --- getUpdates -------------------------------------------------------------------------

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Json]:
        offset = self._confirm(offset)
        if not self._ready(offset) and timeout > 0 and not await self._wait(timeout):
            return []
        batch = self._ready(offset)
        if self._faults.will_reorder() and len(batch) == 1:
            await self._gather_second(offset)
            batch = self._ready(offset)
        batch = batch[: min(max(limit, 1), LIMIT_MAX)]
        return [update.body for update in self._faults.disturb(batch)]

    @property
    def polling(self) -> bool:
        return self._poll is not None and not self._poll.done()

    def interrupt(self, reason: str) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(conflict(reason))

    def release(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(False)

    def _confirm(self, offset: int) -> int:
        if offset < 0:  # the last -offset updates; everything before them is forgotten
            kept = list(self.pending)[offset:]
            offset = kept[0] if kept else self.next_id
        confirmed = [update_id for update_id in self.pending if update_id < offset]
        for update_id in confirmed:
            del self.pending[update_id]
        if confirmed:
            self._save()
        return offset

    def _ready(self, offset: int) -> list[Update]:
        self._expire()
        return [update for update in self.pending.values() if update.update_id >= offset]

    async def _wait(self, timeout: float) -> bool:
        self.interrupt(OTHER_POLL)
        poll: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._poll = poll
        try:
            return await asyncio.wait_for(poll, timeout)
        except TimeoutError:
            return False
        finally:
            if self._poll is poll:
                self._poll = None

    async def _gather_second(self, offset: int) -> None:
        """One update alone cannot be out of order: give it a moment to find a neighbour."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REORDER_WAIT_SECONDS
        while len(self._ready(offset)) < 2 and (left := deadline - loop.time()) > 0:
            await self._wait(left)
