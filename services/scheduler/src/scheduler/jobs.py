"""The firing loop: look what is due, claim it, emit it through the outbox, sleep until the next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from chassis import logs, metrics
from chassis.clock import id_floor
from chassis.database import RETRYABLE, Connection
from chassis.errors import TransientError
from chassis.outbox import Outbox, UnitOfWork
from contracts import topology
from contracts.envelope import Headers
from contracts.ids import derived_id
from scheduler.adapters.postgres import Look, PostgresTimers
from scheduler.adapters.postgres_ticks import PostgresTicks
from scheduler.domain import pace, settling, ticks
from scheduler.domain.settling import DueTimer, Settled
from scheduler.domain.timers import KindTerms

log = logs.get("scheduler.jobs")
lag = metrics.histogram("vitrine.timers.lag", description="how late timers fire")
settled_count = metrics.counter("vitrine.timers.settled", description="by kind and outcome")
RETRY_WAIT_SECONDS = 0.5
ID_AGE_MAX = topology.INBOX_HORIZON - timedelta(days=1)
"""An id older than that is parked by whoever gets it, so a timer that late gets one of today."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How much is fired at once, how long to sleep, and what recurs how often (`ticks`)."""

    fire_batch_max: int
    gather: timedelta
    idle_wait: timedelta
    keep_ended: timedelta
    ticks: Mapping[str, ticks.Terms]
    kinds: Mapping[str, KindTerms]

    @property
    def periods(self) -> dict[str, timedelta]:
        return {name: terms.every for name, terms in self.ticks.items()}

    @property
    def limits(self) -> dict[str, float]:
        return {kind: terms.per_second for kind, terms in self.kinds.items() if terms.per_second}


class Firing:
    """Fires timers and ticks; any number of replicas may run it."""

    def __init__(self, outbox: Outbox, store: PostgresTimers, pace_: Pace) -> None:
        self._outbox = outbox
        self._store = store
        self._ticks = PostgresTicks()
        self._pace = pace_
        self._woken = asyncio.Event()
        self._stopping = False
        self.overdue_seconds = 0.0
        """How late the most overdue timer or tick was at the last look."""

    def wake(self) -> None:
        """Look again now: a timer was set that may be due before the loop would look by itself."""
        self._woken.set()

    async def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Fire until stopped."""
        while not self._stopping:
            self._woken.clear()
            try:
                wait = await self.turn()
            except (TransientError, *RETRYABLE) as error:
                log.warning("firing_postponed", reason=type(error).__name__)
                wait = RETRY_WAIT_SECONDS
            await self._sleep(wait)

    async def _look(self) -> Look:
        """Look what is due; what the settings know and the tables do not, or no more, is set.

        A replica of the release before this one, or with other settings, may have taken it away.
        """
        periods, limited = self._pace.periods, self._pace.limits
        async with self._outbox.database.read() as connection:
            look = await self._store.look(connection, periods, limited)
            if look.whole:
                return look
            log.info("ticks_and_limits_set")
            await self._ticks.set_ticks(connection, periods)
            await self._ticks.set_limits(connection, list(limited))
            return await self._store.look(connection, periods, limited)

    async def turn(self) -> float:
        """Fire what is due, and return how many seconds to sleep.

        Never less than `gather`, unless more is due than a batch takes: what is due within it is
        fired in one transaction instead of one each.
        """
        look = await self._look()
        left = look.seconds_left()
        self.overdue_seconds = max(-(left or 0.0), 0.0)
        longest = self._pace.idle_wait.total_seconds()
        if left is None or left > 0:
            return min(left or longest, longest)
        return 0.0 if await self.fire(look) else self._pace.gather.total_seconds()

    async def fire(self, look: Look) -> bool:
        """Fire what was found due, at most a batch; return whether there may be more at once."""
        async with self._outbox.begin() as uow:
            more = await self._fire_timers(look, uow)
            if look.tick_due:
                await self._fire_ticks(look.now, uow)
        return more

    async def _fire_timers(self, look: Look, uow: UnitOfWork) -> bool:
        kinds = look.due_kinds()
        if not kinds:
            return False
        batch_max = self._pace.fire_batch_max
        superseded: list[DueTimer] = []
        if look.grouped_due:
            superseded = await self._store.claim_superseded(uow.connection, look.now, batch_max)
        places = pace.shares(kinds, batch_max)
        free_at = await self._limited(uow.connection, kinds)
        allowed = self._allowed(kinds, free_at, look.now)
        places |= {kind: 0 for kind, count in allowed.items() if not count}
        # While older ones of groups are left, the newest must wait: it may be armed again, and
        # then nothing would tell that they were superseded.
        grouped = len(superseded) < batch_max
        claimed = await self._store.claim(uow.connection, places, look.now, grouped=grouped)
        # Another replica may have fired the newest in between: these are no newer by that.
        given_up = {each.key for each in superseded}
        claimed = [each for each in claimed if each.key not in given_up]
        settled = [settling.settle(each, look.now, superseded=True) for each in superseded]
        settled += within(allowed, [settling.settle(each, look.now) for each in claimed])
        if settled:
            await self._store.settle(uow.connection, settled)
        _tell(settled, uow, look.now)
        fired = Counter(each.timer.kind for each in settled if each.fires)
        await self._pay(uow.connection, free_at, fired, look.now)
        taken = Counter(each.kind for each in claimed)
        return not grouped or any(
            taken[kind] == places[kind] for kind in places if kind not in allowed
        )

    async def _limited(self, connection: Connection, kinds: Sequence[str]) -> dict[str, datetime]:
        limited = [kind for kind in kinds if kind in self._pace.limits]
        return await self._ticks.claim_limits(connection, limited) if limited else {}

    def _allowed(
        self, kinds: Sequence[str], free_at: Mapping[str, datetime], now: datetime
    ) -> dict[str, int]:
        """Return how many of each limited kind may fire; none of what another replica fires."""
        return {
            kind: pace.allowance(free_at[kind], now, limit) if kind in free_at else 0
            for kind, limit in self._pace.limits.items()
            if kind in kinds
        }

    async def _pay(
        self,
        connection: Connection,
        free_at: Mapping[str, datetime],
        fired: Mapping[str, int],
        now: datetime,
    ) -> None:
        limits = self._pace.limits
        paid = {
            kind: pace.paid_off(since, now, limits[kind], fired[kind])
            for kind, since in free_at.items()
            if fired.get(kind)
        }
        if paid:
            await self._ticks.pay_off(connection, paid)

    async def _fire_ticks(self, now: datetime, uow: UnitOfWork) -> None:
        terms = self._pace.ticks
        due = await self._ticks.claim_ticks(uow.connection, self._pace.periods, now)
        for tick, command in ticks.fired(due, terms, now):
            message_id = derived_id(id_floor(now), "tick", tick.name, tick.due_at.isoformat())
            uow.emit(command, id=message_id)
        moved = {tick.name: ticks.next_due(tick.due_at, tick.period, now) for tick in due}
        await self._ticks.move_ticks(uow.connection, moved)

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def forget_ended(self) -> None:
        """Delete what ended long ago, batch by batch."""
        before = self._outbox.clock.now() - self._pace.keep_ended
        total, forgotten = 0, 1
        while forgotten and not self._stopping:
            async with self._outbox.database.read() as connection:
                forgotten = await self._store.forget_ended(connection, before)
            total += forgotten
        if total:
            log.info("timers_forgotten", count=total)


def emit(timer: DueTimer, uow: UnitOfWork, moment: datetime) -> None:
    """Emit what the timer carries. The id is its key, version and moment: twice adds nothing."""
    headers = Headers(
        id=derived_id(id_floor(moment), timer.key, timer.version),
        traceparent=timer.traceparent,
        sent_at=uow.now,
    )
    uow.emit_encoded(timer.fire_subject, timer.fire_body, headers)


def within(allowed: Mapping[str, int], settled: Sequence[Settled]) -> list[Settled]:
    """Leave out what its kind may not fire yet: it stays armed. What is skipped costs nothing."""
    left = dict(allowed)
    kept = []
    for each in settled:
        kind = each.timer.kind
        if each.fires and kind in left:
            if not left[kind]:
                continue
            left[kind] -= 1
        kept.append(each)
    return kept


def _tell(settled: Sequence[Settled], uow: UnitOfWork, now: datetime) -> None:
    for each in settled:
        timer = each.timer
        settled_count.add(1, {"kind": timer.kind, "outcome": each.outcome})
        if each.held:
            log.error("timer_held", key=timer.key, kind=timer.kind, until=each.due_at.isoformat())
        if each.zone_lost:
            log.error("time_zone_lost", key=timer.key)
        if each.fires:
            emit(timer, uow, timer.due_at if now - timer.due_at < ID_AGE_MAX else now)
            lag.record((now - timer.due_at).total_seconds(), {"kind": timer.kind})
