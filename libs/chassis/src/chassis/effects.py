"""Calls to the outside world: an effect row, claimed by lease, made with no connection held."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from chassis import logs, metrics, tracing
from chassis.database import RETRYABLE
from chassis.errors import TransientError
from chassis.groups import TaskGroup
from chassis.outbox import Outbox, UnitOfWork

log = logs.get("chassis.effects")
POLL_EVERY_SECONDS = 2.0
AT_ONCE_MAX = 16
"""A slow effect takes one place of these, and nobody waits for it but itself."""
BACKOFF_FIRST = timedelta(seconds=1)
BACKOFF_MAX = timedelta(minutes=5)
OVERTAKEN = "overtaken"
PERHAPS_OVERTAKEN = "perhaps_overtaken"
"""Not called now, because of a newer one; an earlier attempt's call may still arrive."""
STATES = {"done": "done", "failed": "failed", OVERTAKEN: "done", PERHAPS_OVERTAKEN: "done"}
_REPEATED = "state = 'due', settled_at = NULL, attempts_before = attempts"
"""What failed before it was made once is no reason to give it up when it is made again."""
failed_count = metrics.counter("vitrine.effects.failed", description="effects given up")


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One outside call. `attempt` counts starts, from 1; made again after it was made: anew."""

    key: str
    kind: str
    body: bytes
    traceparent: str
    attempt: int
    about: str | None = None
    """What it sets, if its kind sets something: see UnitOfWork.effect."""
    start: int = 0
    """Counts every start there ever was: whoever has the last one settles it."""


Record = Callable[[UnitOfWork], Awaitable[None]]


class EffectResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended; `record` runs in the second transaction and may emit messages."""

    outcome: str
    record: Record | None = None
    after: timedelta | None = None
    reason: str = ""
    beside: tuple[str, ...] = ()
    """Set by the worker: older calls about the same that were under way when this one began."""

    @classmethod
    def done(cls, record: Record | None = None) -> EffectResult:
        return cls(outcome="done", record=record)

    @classmethod
    def failed(cls, reason: str, record: Record | None = None) -> EffectResult:
        return cls(outcome="failed", record=record, reason=reason)

    @classmethod
    def retry(cls, reason: str, after: timedelta | None = None) -> EffectResult:
        """The call certainly did not happen; try again after a while."""
        return cls(outcome="retry", after=after, reason=reason)

    @classmethod
    def unknown(cls, reason: str) -> EffectResult:
        """It may have happened, and may still: as if the call had raised."""
        return cls(outcome="unknown", reason=reason)


Call = Callable[[Effect], Awaitable[EffectResult]]


class EffectKind(msgspec.Struct, frozen=True, kw_only=True):
    """What is called for a kind of effect.

    `call` may raise: whether it happened is then unknown, and the next claim asks `reconcile`
    (which answers done, failed, or retry = it did not happen) before calling again.
    `gave_up` is the record of an effect that ran out of attempts.
    """

    name: str
    call: Call
    reconcile: Call | None = None
    gave_up: Callable[[Effect, UnitOfWork], Awaitable[None]] | None = None
    attempts_max: int = 10
    lease: timedelta = timedelta(seconds=60)


class EffectWorker:
    """Claims due effects and carries them out; any number of replicas."""

    def __init__(self, outbox: Outbox, kinds: Mapping[str, EffectKind]) -> None:
        self._outbox = outbox
        self._kinds = kinds
        self._at_work = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until stopped: woken when an effect was committed here, else every 2 s.

        Claims as many as have a place free; on the stop it waits for those at work.
        """
        async with TaskGroup() as group:
            while not stopping.is_set():
                self._outbox.effects_due.clear()
                claimed = await self._claim_some(AT_ONCE_MAX - self._at_work)
                self._at_work += len(claimed)
                for effect, ambiguous in claimed:
                    group.create_task(self._in_its_place(effect, ambiguous))
                if not claimed or self._at_work == AT_ONCE_MAX:
                    await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_EVERY_SECONDS):
                await self._outbox.effects_due.wait()
        except TimeoutError:
            return

    async def _claim_some(self, places: int) -> list[tuple[Effect, bool]]:
        if not places:
            return []
        try:
            return await self._claim(places)
        except (TransientError, *RETRYABLE) as error:
            log.warning("effects_postponed", reason=type(error).__name__)
        except Exception:
            log.exception("effects_postponed")
        return []

    async def _in_its_place(self, effect: Effect, ambiguous: bool) -> None:
        try:
            await self._carry_out(effect, ambiguous)
        except (TransientError, *RETRYABLE) as error:
            # The lease runs out, and the effect is claimed again.
            log.warning("effect_postponed", key=effect.key, reason=type(error).__name__)
        except Exception:
            log.exception("effect_postponed", key=effect.key)
        finally:
            if self._at_work == AT_ONCE_MAX:
                self._outbox.effects_due.set()  # more may wait for a place
            self._at_work -= 1

    async def work_once(self) -> int:
        """Claim what is due, carry it out concurrently, and return how many that were."""
        claimed = await self._claim(AT_ONCE_MAX)
        await asyncio.gather(*(self._carry_out(*each) for each in claimed))
        return len(claimed)

    async def _claim(self, places: int) -> list[tuple[Effect, bool]]:
        now = self._outbox.clock.now()
        leases = {name: now + kind.lease for name, kind in self._kinds.items()}
        async with self._outbox.database.read() as connection:
            rows = await connection.fetch(
                "WITH claimed AS ("
                " SELECT key AS claimed_key, ambiguous AS was_ambiguous, l.until"
                " FROM effects JOIN unnest($1::text[], $2::timestamptz[]) AS l (kind, until)"
                " USING (kind) WHERE state = 'due' AND due_at <= $3"
                " AND (leased_until IS NULL OR leased_until <= $3)"
                " ORDER BY due_at LIMIT $4 FOR UPDATE OF effects SKIP LOCKED) "
                "UPDATE effects SET attempts = attempts + 1, ambiguous = true, "
                "leased_until = claimed.until FROM claimed WHERE key = claimed_key "
                "RETURNING key, kind, body, traceparent, attempts, attempts_before, about, "
                "was_ambiguous",
                list(leases),
                list(leases.values()),
                now,
                places,
            )
        return [
            (
                Effect(
                    key=row["key"],
                    kind=row["kind"],
                    body=row["body"],
                    traceparent=row["traceparent"],
                    attempt=row["attempts"] - row["attempts_before"],
                    about=row["about"],
                    start=row["attempts"],
                ),
                row["was_ambiguous"],
            )
            for row in rows
        ]

    async def _carry_out(self, effect: Effect, ambiguous: bool) -> None:
        kind = self._kinds[effect.kind]
        with tracing.span(f"effect {effect.kind}", traceparent=effect.traceparent):
            try:
                result = await self._call(kind, effect, ambiguous=ambiguous)
            except Exception as error:
                # Whether it happened is unknown: the row stays ambiguous for reconcile.
                log.warning(
                    "effect_ambiguous",
                    key=effect.key,
                    reason=type(error).__name__,
                    origin=_origin(error),
                )
                result = EffectResult.unknown(type(error).__name__)
            try:
                await self._settle(kind, effect, result)
            except (TransientError, *RETRYABLE):
                raise  # the lease runs out, and the effect is claimed again
            except Exception as error:
                log.exception("effect_not_recorded", key=effect.key)
                reason = f"not recorded: {type(error).__name__}"
                await self._settle(kind, effect, EffectResult.unknown(reason))

    async def _call(self, kind: EffectKind, effect: Effect, *, ambiguous: bool) -> EffectResult:
        async with asyncio.timeout(kind.lease.total_seconds() * 0.9):
            overtaken, beside = await self._others(effect)
            if overtaken:
                outcome = PERHAPS_OVERTAKEN if ambiguous else OVERTAKEN
                return EffectResult(outcome=outcome, reason=outcome)
            if ambiguous and kind.reconcile is not None:
                found = await kind.reconcile(effect)
                if found.outcome != "retry":
                    return found
            if effect.attempt > kind.attempts_max:
                return EffectResult.retry("started too often")
            result = await kind.call(effect)
        return msgspec.structs.replace(result, beside=beside) if beside else result

    async def _others(self, effect: Effect) -> tuple[bool, tuple[str, ...]]:
        """Whether there is a newer call about the same; older ones that may be under way."""
        if effect.about is None:
            return False, ()
        async with self._outbox.database.read() as connection:
            rows = await connection.fetch(
                'SELECT key, key COLLATE "C" > $2 COLLATE "C" AS newer, '
                "state = 'due' AND attempts > 0 AS going_on FROM effects "
                "WHERE about = $1 AND key <> $2",
                effect.about,
                effect.key,
            )
        newer = any(row["newer"] for row in rows)
        return newer, tuple(row["key"] for row in rows if row["going_on"] and not row["newer"])

    async def _settle(self, kind: EffectKind, effect: Effect, result: EffectResult) -> None:
        # What may have happened is not given up but reconciled, however long that takes.
        open_question = result.outcome == "unknown" and kind.reconcile is not None
        over = result.outcome in {"retry", "unknown"} and effect.attempt >= kind.attempts_max
        over = over and not open_question
        async with self._outbox.begin() as uow:
            uow.traceparent = tracing.inject()
            if result.outcome in STATES or over:
                state = STATES.get(result.outcome, "failed")
                if await self._end(uow, effect, state, result) and over and kind.gave_up:
                    await kind.gave_up(effect, uow)
                return
            wait = result.after or min(
                BACKOFF_FIRST * 2 ** min(effect.attempt - 1, 16), BACKOFF_MAX
            )
            await self._postpone(uow, effect, uow.now + wait, result)

    async def _end(self, uow: UnitOfWork, effect: Effect, state: str, result: EffectResult) -> bool:
        """Record how it ended; False when somebody else has it by now."""
        if effect.about is not None:
            # Of two that end at once the second sees the first.
            await uow.connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", effect.about
            )
        owned = await uow.connection.execute(
            "UPDATE effects SET state = $2, leased_until = NULL, last_reason = $3, "
            "settled_at = $5 WHERE key = $1 AND state = 'due' AND attempts = $4",
            effect.key,
            state,
            result.reason,
            effect.start,
            uow.now,
        )
        if owned != "UPDATE 1":
            return False
        if result.record is not None:
            await result.record(uow)
        if effect.about is not None and result.outcome != OVERTAKEN:
            await self._repeat_newest(uow, effect)
        if result.beside and state == "done":
            await self._repeat_after_older(uow, effect, result.beside)
        if state == "failed":
            failed_count.add(1, {"kind": effect.kind})
            log.error("effect_failed", key=effect.key, reason=result.reason)
        return True

    async def _repeat_newest(self, uow: UnitOfWork, effect: Effect) -> None:
        """A newer call about the same that was made meanwhile: this one may have come after it."""
        repeated = await uow.connection.execute(
            f"UPDATE effects SET {_REPEATED}, due_at = $3 WHERE key = ("  # noqa: S608 - our own
            'SELECT key FROM effects WHERE about = $1 AND key COLLATE "C" > $2 COLLATE "C" '
            "ORDER BY key COLLATE \"C\" DESC LIMIT 1) AND state = 'done'",
            effect.about,
            effect.key,
            uow.now,
        )
        self._note_repeat(uow, repeated, effect)

    async def _repeat_after_older(
        self, uow: UnitOfWork, effect: Effect, beside: tuple[str, ...]
    ) -> None:
        """Older calls were under way when this one began; one that ended first may have come after.

        One that has not ended yet sees this one done, and has it repeated then; one that was
        overtaken was never made.
        """
        repeated = await uow.connection.execute(
            f"UPDATE effects SET {_REPEATED}, due_at = $3 WHERE key = $2 "  # noqa: S608 - our own
            "AND EXISTS (SELECT FROM effects older WHERE older.key = ANY($1::text[]) "
            "AND older.state <> 'due' AND older.last_reason <> $4)",
            beside,
            effect.key,
            uow.now,
            OVERTAKEN,
        )
        self._note_repeat(uow, repeated, effect)

    def _note_repeat(self, uow: UnitOfWork, repeated: str, effect: Effect) -> None:
        if repeated == "UPDATE 1":
            # Not before the commit: woken earlier, a worker finds nothing and sleeps on.
            uow.after_commit(self._outbox.effects_due.set)
            log.info("effect_repeated", kind=effect.kind, after=effect.key)

    async def _postpone(
        self, uow: UnitOfWork, effect: Effect, due_at: datetime, result: EffectResult
    ) -> None:
        await uow.connection.execute(
            "UPDATE effects SET due_at = $2, leased_until = NULL, ambiguous = $3, "
            "last_reason = $4 WHERE key = $1 AND state = 'due' AND attempts = $5",
            effect.key,
            due_at,
            result.outcome == "unknown",
            result.reason,
            effect.start,
        )


def _origin(error: BaseException) -> str:
    """Where it was raised, as file and line: an error's own words may hold what no log may."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
