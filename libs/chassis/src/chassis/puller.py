"""Claiming one job at a time from several queues, best queue first, leaving no claim behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from chassis import logs
from chassis.broker import Broker
from chassis.deliveries import Delivery, is_delivery
from chassis.nats_client import NatsError
from chassis.pull import HEARTBEATS_MISSED, NO_MESSAGES, TIMED_OUT, next_subject, pull_request
from chassis.wire import Frame, publish_frame
from contracts.topology import JOB_GROUP, PRIORITY_IDLE

log = logs.get("chassis.puller")
HEARTBEAT = timedelta(seconds=2)
EXPIRES = timedelta(seconds=30)
ANSWER_SECONDS_MAX = 2.0
RETRY_FIRST_SECONDS = 0.05
RETRY_MAX_SECONDS = 1.0
STATUS_HEARTBEAT = 100


class TieredPuller:
    """Claims single jobs over durable pull consumers of one stream (tiers, best first).

    First every tier is asked in order and answers at once; when all are empty one pull per tier
    is parked and the first claim wins. The others are withdrawn, and a job that still came with
    one of them is handed back. For one caller.
    """

    def __init__(
        self,
        broker: Broker,
        stream: str,
        tiers: Sequence[str] = (),
        *,
        group: str = JOB_GROUP,
        heartbeat: timedelta = HEARTBEAT,
        expires: timedelta = EXPIRES,
    ) -> None:
        self._broker = broker
        self.client = broker.nc
        self.stream = stream
        self._tiers = tuple(tiers)
        self._group = group
        self._heartbeat = heartbeat
        self._expires = expires
        self._silence_max = heartbeat.total_seconds() * HEARTBEATS_MISSED
        self._wake = asyncio.Event()
        self._released = False
        self._stopped = False
        self._busy = False
        self._retry_seconds = RETRY_FIRST_SECONDS
        self.handed_back = 0
        """Jobs that came with a pull that had lost; each raises the job's delivery count."""

    async def next(
        self,
        tiers: Sequence[str] | None = None,
        priority: int = PRIORITY_IDLE,
        timeout: timedelta | None = None,
    ) -> Delivery | None:
        """Return one claimed job of the best tier that has any.

        `priority`: the server serves lower numbers first among all who wait. None: stopped,
        released, or nothing came within `timeout`. May be cancelled: no claim is left behind.
        """
        assert not self._busy, "one caller at a time"
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout.total_seconds()
        order = tuple(tiers) if tiers is not None else self._tiers
        self._busy = True
        forget_reconnect = self._broker.on_reconnect(self._reconnected)
        try:
            while not self._stopped and not self._released:
                if until is not None and loop.time() >= until:
                    return None
                try:
                    claimed = await self._claim(order, priority, until)
                except (NatsError, TimeoutError):
                    claimed = None
                    await self._back_off()
                if claimed is not None:
                    self._retry_seconds = RETRY_FIRST_SECONDS
                    return claimed
            return None
        finally:
            forget_reconnect()
            self._busy = False
            self._released = False

    def release(self) -> None:
        """Make the running `next` end soon: with a job that has come already, else with None."""
        if self._busy:
            self._released = True
            self._wake.set()

    def _reconnected(self) -> None:
        self._wake.set()  # looked up now: every wait has an event of its own

    def stop(self) -> None:
        """Like `release`, and for good."""
        self._stopped = True
        self._wake.set()

    async def _claim(
        self, order: Sequence[str], priority: int, until: float | None
    ) -> Delivery | None:
        if not self._broker.connected:
            await self._back_off()
            return None
        for tier in order:
            if self._stopped or self._released:
                return None
            if (found := await self._poll(tier, priority)) is not None:
                return found
        return await self._park(order, priority, until)

    async def _poll(self, tier: str, priority: int) -> Delivery | None:
        """Ask one tier for a job it has now."""
        client = self._broker.nc
        body = pull_request(group=self._group, priority=priority)
        if not client.mitigations.mux:
            answer = await client.request(next_subject(self.stream, tier), body, timeout=1)
            frame = Frame(answer.subject, answer.reply, answer.data, None)
            return self.delivery(frame) if is_delivery(frame) else None
        race = _Race(self, [tier])
        try:
            await race.start(body)
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await race.decided.wait()
        except BaseException:
            await asyncio.shield(race.close(keep=False))
            raise
        return await asyncio.shield(race.close(keep=True))

    async def _park(
        self, order: Sequence[str], priority: int, until: float | None
    ) -> Delivery | None:
        """Wait at all tiers at once, until one answers, or it is time to ask anew."""
        body = pull_request(
            group=self._group,
            priority=priority,
            expires=self._expires,
            idle_heartbeat=self._heartbeat,
        )
        self._wake = wake = asyncio.Event()
        race = _Race(self, order, decided=wake)
        if self._stopped or self._released:
            return None
        try:
            await race.start(body)
            await self._watch(race, until)
        except BaseException:
            await asyncio.shield(race.close(keep=False))
            raise
        claimed = await asyncio.shield(race.close(keep=True))
        if claimed is None and race.refused:
            log.warning("pull_refused", stream=self.stream, reason=race.refused)
            await self._back_off()
        return claimed

    async def _watch(self, race: _Race, until: float | None) -> None:
        """Return when the race is decided, the caller's time is over, or the server is silent."""
        loop = asyncio.get_running_loop()
        while not race.decided.is_set():
            silent_at = race.heard_at + self._silence_max
            limit = silent_at if until is None else min(silent_at, until)
            if loop.time() >= limit:
                return
            try:
                async with asyncio.timeout_at(limit):
                    await race.decided.wait()
            except TimeoutError:
                continue

    async def _back_off(self) -> None:
        """Wait a little, longer each time; a reconnect, a release or the stop ends it."""
        self._wake = wake = asyncio.Event()
        if self._stopped or self._released:
            return
        try:
            async with asyncio.timeout(self._retry_seconds):
                await wake.wait()
        except TimeoutError:
            self._retry_seconds = min(self._retry_seconds * 2, RETRY_MAX_SECONDS)

    def delivery(self, frame: Frame) -> Delivery:
        return Delivery(self._broker.nc, frame, asyncio.get_running_loop().time())


class _Race:
    """One pull per tier, each with an inbox of its own; at most one claim comes out of it."""

    def __init__(
        self, puller: TieredPuller, order: Sequence[str], decided: asyncio.Event | None = None
    ) -> None:
        self._puller = puller
        self._order = order
        self._open: dict[str, int] = {}
        """Inboxes by tier whose pull has not ended: with a job, or with a status."""
        self._ended: list[int] = []
        self._got: dict[str, list[Frame]] = {tier: [] for tier in order}
        self.decided = decided or asyncio.Event()
        self.heard_at = asyncio.get_running_loop().time()
        self.refused = ""

    async def start(self, body: bytes) -> None:
        client = self._puller.client
        frames = []
        for tier in self._order:
            inbox = client.new_inbox()
            self._open[tier] = await client.listen(inbox, partial(self._on_frame, tier))
            subject = next_subject(self._puller.stream, tier)
            frames.append(publish_frame(subject, body, reply=inbox))
        await client.send(frames)

    def _on_frame(self, tier: str, frame: Frame) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        if is_delivery(frame):
            self._got[tier].append(frame)
        elif frame.status == STATUS_HEARTBEAT:
            return
        elif frame.status not in (NO_MESSAGES, TIMED_OUT):
            self.refused = f"{frame.status} {frame.description}"
        if tier in self._open:
            self._ended.append(self._open.pop(tier))
        self.decided.set()

    async def close(self, *, keep: bool) -> Delivery | None:
        """Withdraw every pull, wait for what is on its way, and hand back all but the best."""
        client = self._puller.client
        if client.mitigations.orphans:
            client.unlisten_soon(*self._ended)
            await client.unlisten(*self._open.values())
        else:
            client.abandon(*self._ended, *self._open.values())
        frames = [frame for tier in self._order for frame in self._got[tier]]
        best = frames.pop(0) if keep and frames else None
        for frame in frames:
            self._puller.handed_back += 1
            self._puller.delivery(frame).nak_soon()
        return None if best is None else self._puller.delivery(best)
