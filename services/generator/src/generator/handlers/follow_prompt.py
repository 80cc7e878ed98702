"""One posted prompt, watched to its end: hints from the socket, the truth from HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis import logs
from generator.domain.attempts import Sickness
from generator.domain.errors import (
    AttemptFailedError,
    ClaimLostError,
    HandBackError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.domain.failures import Failure, Kind
from generator.domain.prompts import Ending, Queue, Sighting, Where
from generator.handlers.tools import Tools, loop_time

if TYPE_CHECKING:
    from generator.handlers.run_job import JobRun

log = logs.get("generator.follow")
SOON_SECONDS = 0.1
IDLE_SECONDS = 0.3
"""After an empty queue was announced: the prompt's own end follows within milliseconds."""
STOP_AGAIN_SECONDS = 0.5
REFUSED_SECONDS = 0.5
"""A port that refuses twice this far apart belongs to no process."""


class Following:
    """`follow` returns how the prompt ended, or raises why it is given up."""

    def __init__(self, tools: Tools, run: JobRun) -> None:
        self._tools = tools
        self._server = tools.server
        self._pace = tools.pace
        self._run = run
        self._look_at = loop_time() + self._look_every()
        self._stop_again_at = 0.0
        self._connections = tools.server.connections
        self._away_since: float | None = None
        self._over_since: float | None = None
        self._idle_since: float | None = None
        self._lost_looks = 0
        self._behind_another = False
        self.deadline_passed_at: float | None = None

    async def follow(self) -> Ending:
        feed = self._run.feed
        while True:
            if self._run.claim.lost:
                raise ClaimLostError(self._run.prompt_id)
            if feed.started_at is not None and self._run.waiting:
                self._run.mark_started()
                self._look_at = loop_time() + self._look_every()
            if feed.over:
                self._run.mark_over()
            if feed.idle_seen:
                feed.idle_seen = False
                self._look_at = min(self._look_at, loop_time() + IDLE_SECONDS)
            if self._away_since is None and self._lost_looks == 0:
                self._behind_another = self._run.waiting and self._run.ahead
            ending = await self._step()
            if ending is not None:
                return ending
            if not feed.over:
                await feed.wait(self._wake_at())
            elif loop_time() < self._look_at:
                await feed.wait(self._look_at)

    async def _step(self) -> Ending | None:
        feed = self._run.feed
        try:
            await self._serve_orders()
            fresh_end = feed.over and self._over_since is None
            if fresh_end or feed.look or loop_time() >= self._look_at:
                return await self._look()
        except (ServerUnreachableError, ServerAnswerError) as error:
            self._on_away(error)
        return None

    def _wake_at(self) -> float:
        moments = [self._look_at]
        if self._run.claim.record.cancel or self.deadline_passed_at is not None:
            moments.append(self._stop_again_at)
        elif self._run.waiting and self._run.ahead:
            moments.append(self._run.claimed_at + self._pace.ahead_patience)
        if self._run.feed.started_at is not None and self.deadline_passed_at is None:
            moments.append(self._deadline())
        return min(moments)

    def _deadline(self) -> float:
        started_at = self._run.feed.started_at
        assert started_at is not None
        return started_at + self._run.deadline_seconds

    async def _serve_orders(self) -> None:
        """What is wanted from outside: a cancel, a return, the end of patience."""
        now = loop_time()
        started = self._run.feed.started_at is not None
        if started and self.deadline_passed_at is None and now >= self._deadline():
            log.warning("deadline_passed", prompt_id=self._run.prompt_id)
            self.deadline_passed_at = now
        if self._run.claim.record.cancel or self.deadline_passed_at is not None:
            await self._stop_prompt(now)
        elif self._run.waiting:
            reason = self._run.return_asked
            if not reason and self._run.ahead_too_long:
                reason = "ahead_too_long"
            if reason:
                await self._give_back_unstarted(reason)

    def _waited_too_long(self, now: float) -> bool:
        return now - self._run.claimed_at >= self._pace.ahead_patience

    async def _stop_prompt(self, now: float) -> None:
        """Delete, interrupt, and look. Repeated: a prompt can slip from one state to the next."""
        passed = self.deadline_passed_at
        if passed is not None and now - passed >= self._pace.interrupt_patience:
            raise AttemptFailedError(Failure(kind=Kind.HUNG, detail="interrupt had no effect"))
        if now >= self._stop_again_at:
            self._stop_again_at = now + STOP_AGAIN_SECONDS
            await self._server.delete(self._run.prompt_id)
            await self._server.interrupt(self._run.prompt_id)
            self._look_at = now

    async def _give_back_unstarted(self, reason: str) -> None:
        """Raises HandBackError when the prompt is proven never to have started."""
        if await self.withdraw():
            if reason == "ahead_too_long":
                self._run.hold_claims(foreign=False)
            raise HandBackError(reason)
        self._run.keep()
        self._look_at = loop_time()

    async def withdraw(self) -> bool:
        """Delete, then read queue and job: a deleted pending prompt leaves no trace at all."""
        prompt_id = self._run.prompt_id
        try:
            await self._server.delete(prompt_id)
        except ServerAnswerError as error:
            log.warning("delete_answered", status=error.status)  # what is read next decides
        if (await self._server.queue()).where(prompt_id) is not Where.LOST:
            return False
        sighting = await self._server.look_up(prompt_id)
        return sighting.where is Where.LOST and self._run.feed.started_at is None

    async def _look(self) -> Ending | None:
        feed = self._run.feed
        feed.look = False
        now = loop_time()
        # The end was announced: the history alone says it in one request.
        ending = await self._server.ending(self._run.prompt_id) if feed.over else None
        if ending is not None:
            return ending
        sighting = await self._server.look_up(self._run.prompt_id)
        self._away_since = None
        if sighting.where is not Where.LOST:
            self._lost_looks = 0
        self._look_at = now + self._look_every()
        match sighting.where:
            case Where.PENDING:
                await self._on_pending(now)
            case Where.RUNNING:
                feed.started()
                self._on_history_late(now, announced=feed.over)
            case Where.LOST:
                return self._on_lost(now)
            case Where.ENDED:
                return self._on_ended(sighting, now)
        return None

    def _look_every(self) -> float:
        """Rarely while the socket tells; often without it, or when a start is overdue."""
        overdue = self._run.waiting and not self._run.ahead
        if self._server.socket_alive and not overdue:
            return self._pace.look_every
        return self._pace.look_every_without_socket

    def _on_ended(self, sighting: Sighting, now: float) -> Ending | None:
        self._run.mark_over()
        if sighting.ending is not None:
            return sighting.ending
        self._on_history_late(now, announced=True)
        return None

    def _on_history_late(self, now: float, *, announced: bool) -> None:
        """The end is announced before its history is written: ask again, for a while."""
        if not announced:
            return
        self._over_since = self._over_since or now
        if now - self._over_since < self._pace.history_patience:
            self._look_at = now + SOON_SECONDS

    def _on_lost(self, now: float) -> Ending | None:
        if self._run.claim.record.cancel or self.deadline_passed_at is not None:
            return Ending(outputs={}, interrupted=True)
        self._lost_looks += 1
        if self._lost_looks == 1:
            self._look_at = now + SOON_SECONDS
            return None
        restarted = not self._server.socket_alive or self._server.connections != self._connections
        kind = Kind.SERVER_DIED if restarted else Kind.LOST
        raise self._given_up(kind, "unknown to the server")

    async def _on_pending(self, now: float) -> None:
        """Pending is normal behind a running prompt; with none running the worker is dead."""
        queue = await self._server.queue()
        if not queue.running:
            self._idle_since = self._idle_since or now
            self._look_at = now + self._pace.look_every_without_socket
            if now - self._idle_since >= self._pace.zombie_patience:
                await self._on_zombie()
        else:
            self._idle_since = None
            await self._on_foreign(queue, now)

    async def _on_zombie(self) -> None:
        log.error("server_zombie", prompt_id=self._run.prompt_id)
        self._tools.health.mark(Sickness.BROKEN, "zombie")
        if await self.withdraw():
            raise HandBackError("zombie")
        raise AttemptFailedError(Failure(kind=Kind.ZOMBIE, detail="queue does not move"))

    async def _on_foreign(self, queue: Queue, now: float) -> None:
        """Somebody else's prompt runs: give the job to a server that has time for it."""
        foreign = any(item.note.get("server") != self._server.name for item in queue.running)
        if foreign and not self._run.ahead and self._waited_too_long(now):
            if await self.withdraw():
                self._run.hold_claims(foreign=True)
                raise HandBackError("foreign_prompt_runs")
            self._look_at = now

    def _on_away(self, error: ServerUnreachableError | ServerAnswerError) -> None:
        now = loop_time()
        self._look_at = now + self._pace.look_every_without_socket
        if self._away_since is None:
            self._away_since = now
            self._look_at = now + REFUSED_SECONDS
            return
        away = now - self._away_since
        refused = isinstance(error, ServerUnreachableError) and error.refused
        if refused and away >= REFUSED_SECONDS:
            raise self._given_up(Kind.SERVER_DIED, "connection refused")
        if away >= self._pace.unreachable_patience:
            raise self._given_up(Kind.HUNG, "no answer")

    def _given_up(self, kind: Kind, detail: str) -> Exception:
        """A job ahead of which another one was running is not to blame for a dead server."""
        if self._run.waiting and self._behind_another:
            self._tools.health.mark(Sickness.GONE, detail)
            return HandBackError(detail)
        return AttemptFailedError(Failure(kind=kind, detail=detail))
