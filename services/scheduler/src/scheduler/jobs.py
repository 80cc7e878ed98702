"""The firing loop: claim what is due, emit it through the outbox, sleep until the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from chassis import logs, metrics
from chassis.clock import id_floor
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from contracts import billing, gateway, payments
from contracts.envelope import Command, Headers
from contracts.ids import derived_id
from scheduler.adapters.postgres import DueTick, DueTimer, PostgresTimers
from scheduler.domain.ticks import next_due

log = logs.get("scheduler.jobs")
lag = metrics.histogram("vitrine.timers.lag", description="how late timers fire")
RETRY_WAIT_SECONDS = 0.5


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How much is fired at once, how long to sleep, and what recurs how often (`ticks`)."""

    fire_batch_max: int
    idle_wait: timedelta
    keep_ended: timedelta
    ticks: Mapping[str, timedelta]


def tick_command(name: str, due_at: datetime) -> Command:
    """Return the command a tick sends; whoever gets it judges by its own rows what is due."""
    makers: Mapping[str, Callable[..., Command]] = {
        "renew_trials": billing.RenewTrials,
        "run_audit": billing.RunAudit,
        "sweep_media": gateway.SweepMedia,
        "watch_payments": payments.WatchPayments,
        "read_stars_statement": gateway.ReadStarsStatement,
    }
    return makers[name](due_at=due_at)


class Firing:
    """Fires timers and ticks; any number of replicas may run it."""

    def __init__(self, outbox: Outbox, store: PostgresTimers, pace: Pace) -> None:
        self._outbox = outbox
        self._store = store
        self._pace = pace

    async def run(self, stopping: asyncio.Event) -> None:
        await self._set_ticks(stopping)
        while not stopping.is_set():
            try:
                fired = await self.fire_once()
                wait = 0.0 if fired else await self._wait()
            except (TransientError, *RETRYABLE) as error:
                log.warning("firing_postponed", reason=type(error).__name__)
                wait = RETRY_WAIT_SECONDS
            await self._sleep(wait, stopping)

    async def _set_ticks(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with self._outbox.database.read() as connection:
                    await self._store.set_ticks(connection, self._pace.ticks)
                return
            except TransientError as error:
                log.warning("firing_postponed", reason=type(error).__name__)
            await self._sleep(RETRY_WAIT_SECONDS, stopping)

    async def fire_once(self) -> int:
        """Fire what is due now, at most a batch, and return how many that were."""
        async with self._outbox.begin() as uow:
            due = await self._store.claim_due(uow.connection, self._pace.fire_batch_max)
            ticking = await self._store.claim_ticks(uow.connection)
            now = await self._store.database_now(uow.connection)
            for timer in due:
                _fire(timer, uow)
                lag.record(max((now - timer.due_at).total_seconds(), 0.0))
            for tick in ticking:
                await self._tick(tick, uow, now)
        return len(due) + len(ticking)

    async def _tick(self, tick: DueTick, uow: UnitOfWork, now: datetime) -> None:
        message_id = derived_id(id_floor(now), "tick", tick.name, tick.due_at.isoformat())
        uow.emit(tick_command(tick.name, tick.due_at), id=message_id)
        await self._store.move_tick(
            uow.connection, tick.name, next_due(tick.due_at, tick.period, now)
        )

    async def _wait(self) -> float:
        async with self._outbox.database.read() as connection:
            seconds = await self._store.seconds_until_due(connection)
        longest = self._pace.idle_wait.total_seconds()
        return longest if seconds is None else min(max(seconds, 0.0), longest)

    async def _sleep(self, seconds: float, stopping: asyncio.Event) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            return

    async def forget_ended(self) -> None:
        before = self._outbox.clock.now() - self._pace.keep_ended
        async with self._outbox.database.read() as connection:
            forgotten = await self._store.forget_ended(connection, before)
        if forgotten:
            log.info("timers_forgotten", count=forgotten)


def _fire(timer: DueTimer, uow: UnitOfWork) -> None:
    """Emit what the timer carries. The id is its key and version: firing twice adds nothing."""
    headers = Headers(
        id=derived_id(id_floor(timer.due_at), timer.key, timer.version),
        traceparent=timer.traceparent,
        sent_at=uow.now,
    )
    uow.emit_encoded(timer.fire_subject, timer.fire_body, headers)
