"""How fast the bot may speak: one budget per bot over all replicas, one per chat in this one."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

import msgspec

from chassis import logs
from chassis.clock import Clock
from chassis.errors import TransientError
from chassis.key_value import KeyExistsError, KeyValue, KeyWatch, WrongRevisionError

log = logs.get("gateway.budget")
SLICES_PER_SECOND = 6
"""A replica takes a sixth of a second's sends at once: few round trips, little left unused."""
LOOKAHEAD_SECONDS = 5
CHATS_MAX = 50_000


class WouldWaitError(TransientError):
    """The send would have to wait longer than the caller is willing to; `retry_after` says it."""


class Record(msgspec.Struct):
    """What replicas agree on: how much of which second is taken, and until when all are silent."""

    second: int = 0
    taken: int = 0
    silent_until: float = 0.0


class BotBudget:
    """Sends of one bot, handed out in slices of one second by compare-and-set.

    A slice belongs to its second: what is not used then is lost, so the sum never exceeds the
    rate whatever the replicas do. A 429 silences every replica.
    """

    def __init__(self, kv: KeyValue, clock: Clock, *, bot_id: int, per_second: float) -> None:
        self._kv = kv
        self._clock = clock
        self._key = f"send.{bot_id}"
        self._per_second = max(1, int(per_second))
        self._slice = max(1, self._per_second // SLICES_PER_SECOND)
        self._record = Record()
        self._revision = 0
        self._slices: deque[tuple[int, int]] = deque()
        self._taking = asyncio.Lock()
        self._watch: KeyWatch | None = None

    async def follow(self) -> None:
        """Keep up with what other replicas write: a 429 reaches all of them at once."""
        self._watch = watch = self._kv.watch(keys=[self._key])
        async for change in watch:
            if change.entry is not None and change.entry.revision > self._revision:
                self._learn(change.entry.value, change.entry.revision)

    async def stop(self) -> None:
        """End `follow`."""
        if self._watch is not None:
            await self._watch.stop()

    def _learn(self, value: bytes, revision: int) -> None:
        self._record = msgspec.json.decode(value, type=Record)
        self._revision = revision

    async def acquire(self, *, wait_max: timedelta) -> None:
        """Take the right to one send, waiting for its second. Raises WouldWaitError."""
        give_up_at = self._now() + wait_max.total_seconds()
        while True:
            at = max(await self._token(give_up_at), self._record.silent_until)
            wait = at - self._now()
            if wait <= 0:
                return
            if at > give_up_at:
                raise WouldWaitError("send budget", retry_after=timedelta(seconds=wait))
            await asyncio.sleep(wait)
            if self._record.silent_until <= self._now():
                return

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _token(self, give_up_at: float) -> float:
        """Return the moment a taken send belongs to."""
        if (at := self._from_slices()) is not None:
            return at
        async with self._taking:
            while (at := self._from_slices()) is None:
                if self._record.silent_until > give_up_at:
                    return self._record.silent_until
                second, count = await self._take_slice(int(give_up_at))
                if count == 0:
                    return float(second)
                self._slices.append((second, count))
        return at

    def _from_slices(self) -> float | None:
        now = int(self._now())
        while self._slices and self._slices[0][0] < now:
            self._slices.popleft()
        if not self._slices:
            return None
        second, left = self._slices[0]
        if left > 1:
            self._slices[0] = (second, left - 1)
        else:
            self._slices.popleft()
        return float(second)

    async def _take_slice(self, last: int) -> tuple[int, int]:
        """Compare-and-set a slice; (a second after `last`, 0) when all up to it are taken."""
        while True:
            record = self._record
            second = max(int(self._now()), min(record.second, int(self._now()) + LOOKAHEAD_SECONDS))
            taken = record.taken if record.second == second else 0
            if taken >= self._per_second:
                second, taken = second + 1, 0
            if second > last:
                return second, 0
            count = min(self._slice, self._per_second - taken)
            wanted = Record(second, taken + count, record.silent_until)
            if await self._write(wanted):
                return second, count

    async def silence(self, pause: timedelta) -> None:
        """Telegram said 429: nobody sends for that long, in any replica."""
        until = self._now() + pause.total_seconds()
        log.warning("telegram_throttles", seconds=pause.total_seconds())
        while self._record.silent_until < until:
            record = self._record
            if await self._write(Record(record.second, record.taken, until)):
                return

    async def _write(self, record: Record) -> bool:
        value = msgspec.json.encode(record)
        try:
            if self._revision == 0:
                revision = await self._kv.create(self._key, value)
            else:
                revision = await self._kv.update(self._key, value, self._revision)
        except (WrongRevisionError, KeyExistsError):
            entry = await self._kv.get(self._key)
            if entry is None:  # it expired while the bot was silent
                self._record, self._revision = Record(), 0
            else:
                self._learn(entry.value, entry.revision)
            return False
        if revision > self._revision:
            self._record, self._revision = record, revision
        return True


class ChatBudget:
    """Sends to one chat: a bucket in this process, which alone serves the chat's shard."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        self._clock = clock
        self._period = 1 / per_second
        self._burst = burst
        self._full_at: dict[int, float] = {}
        """When each chat's bucket will be full again; a missing one is full."""

    def reserve(self, chat_id: int, *, wait_max: timedelta) -> float:
        """Take one send and return the seconds to wait for it. Raises WouldWaitError."""
        now = self._clock.now().timestamp()
        full_at = max(self._full_at.get(chat_id, now), now)
        wait = full_at - now - (self._burst - 1) * self._period
        if wait > wait_max.total_seconds():
            raise WouldWaitError("chat budget", retry_after=timedelta(seconds=wait))
        self._full_at.pop(chat_id, None)
        self._full_at[chat_id] = full_at + self._period
        self._forget(now)
        return max(0.0, wait)

    def give_back(self, chat_id: int) -> None:
        """The send was not made after all."""
        if chat_id in self._full_at:
            self._full_at[chat_id] -= self._period

    def _forget(self, now: float) -> None:
        while self._full_at:
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= CHATS_MAX:
                return
            del self._full_at[oldest]


class Budget:
    """Both budgets together."""

    def __init__(self, bot: BotBudget, private: ChatBudget, group: ChatBudget) -> None:
        self._bot = bot
        self._private = private
        self._group = group

    async def acquire(self, chat_id: int, *, wait_max: timedelta, message: bool = True) -> None:
        """Wait for the right to send. An edit counts for the bot, only a `message` for the chat."""
        chats = self._private if chat_id > 0 else self._group
        wait = chats.reserve(chat_id, wait_max=wait_max) if message else 0.0
        try:
            if wait:
                await asyncio.sleep(wait)
            await self._bot.acquire(wait_max=wait_max - timedelta(seconds=wait))
        except WouldWaitError:
            if message:
                chats.give_back(chat_id)
            raise

    async def silence(self, pause: timedelta) -> None:
        await self._bot.silence(pause)
