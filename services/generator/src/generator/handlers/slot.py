"""The server's places: one job running, one ahead, and the decision when to claim another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from chassis import logs, metrics
from contracts.billing import LANE_PRIORITY
from contracts.ids import OrderId
from generator.domain import lateness, tiers
from generator.domain.errors import ServerAnswerError, ServerUnreachableError
from generator.domain.tiers import Wish
from generator.handlers.claim import Claim
from generator.handlers.report_progress import expected_seconds, fraction_of
from generator.handlers.run_job import UNSTARTED, JobRun, Phase
from generator.handlers.tools import Tools, loop_time
from generator.ports import Jobs

log = logs.get("generator.slot")
FINISHING_MAX = 4
"""Results being fetched and stored; more than these and the next claim waits."""
FOREIGN_LOOK_SECONDS = 1.0
PREPARING_SECONDS = 0.1
"""A regular job that takes longer to get ready lets a priority job pass it meanwhile."""
IDLE_GAP = metrics.histogram(
    "generator.idle_gap", description="From one prompt's end to the next one's start"
)


class Slot:
    """Implements `run_job.Place`, and claims jobs for as long as the session lasts."""

    def __init__(self, tools: Tools, jobs: Jobs) -> None:
        self._tools = tools
        self._jobs = jobs
        self._runs: list[JobRun] = []
        self._changed = asyncio.Event()
        self._turn = 0
        self._held_ahead = False
        self._held_foreign = False
        self._stopping = False
        self._ended_at: float | None = None

        metrics.gauge(
            "generator.gpu_busy",
            lambda: float(bool(self._in_phase(Phase.RUNNING))),
            description="1 while a prompt of ours is executed",
        )

    # What runs ask (run_job.Place).

    def changed(self) -> None:
        """Wake everybody who waits; each change has an event of its own, so none is missed."""
        self._note_gap()
        self._changed.set()
        self._changed = asyncio.Event()

    def orders(self) -> tuple[OrderId, ...]:
        return tuple(dict.fromkeys(run.order_id for run in self._runs))

    def prompts(self) -> set[str]:
        return {run.prompt_id for run in self._runs}

    def executes_another(self, run: JobRun) -> bool:
        return any(other is not run for other in self._in_phase(Phase.RUNNING))

    def in_hand(self, run: JobRun) -> JobRun | None:
        same = (each for each in self._runs if each.order_id == run.order_id)
        return next((each for each in same if each is not run), None)

    async def make_room(self, run: JobRun) -> None:
        for regular in [each for each in self._unstarted() if each.lane != LANE_PRIORITY]:
            if regular is not run:
                regular.ask_back("priority_job_waits")
                await self._until_started_or_gone(regular)

    def hold_claims(self, *, foreign: bool) -> None:
        """The guess of the running job's end was wrong, or somebody else uses the server."""
        if foreign:
            self._held_foreign = True
        else:
            self._held_ahead = True
        self.changed()

    # The session's side.

    def stop(self) -> None:
        """Claim nothing more, and give back what has not started."""
        self._stopping = True
        for run in self._unstarted():
            run.ask_back("stopping")
        self.changed()

    @property
    def empty(self) -> bool:
        return not self._runs

    async def until_empty(self) -> None:
        while self._runs:
            await self._wait(self._changed)

    def adopt(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._start(JobRun.adopt(self._tools, self, claim))

    async def claim_jobs(self) -> None:
        while not self._stopping:
            wish = self._wish()
            if wish is None:
                await self._wait(self._changed, self._recheck_in())
            else:
                await self._pull(wish)
            await self._check_foreign()

    async def _pull(self, wish: Wish) -> None:
        """Ask for a job until one comes, or until something else is wished."""
        pulling = self._tools.spawn(self._jobs.next(wish))
        while not pulling.done():
            waiting = self._tools.spawn(self._wait(self._changed, self._recheck_in()))
            await asyncio.wait({pulling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not pulling.done() and self._wish() != wish:
                await self._jobs.release()
                break
        arrival = await pulling
        if arrival is None:
            return
        if arrival.order_id is None:
            await self._tools.settlement.park(arrival, "no order id")
            return
        if self._stopping or not self._tools.health.well:
            await self._tools.settlement.hand_back(arrival.ack_subject, timedelta(0))
            return
        self._turn += 1
        self._start(JobRun(self._tools, self, arrival))

    def _start(self, run: JobRun) -> None:
        self._runs.append(run)
        self._tools.spawn(self._keep(run))

    async def _keep(self, run: JobRun) -> None:
        try:
            await run.run()
        finally:
            self._runs.remove(run)
            self.changed()

    def _unstarted(self) -> list[JobRun]:
        return [run for run in self._runs if run.phase in UNSTARTED]

    def _in_phase(self, phase: Phase) -> list[JobRun]:
        return [run for run in self._runs if run.phase is phase]

    async def _until_started_or_gone(self, run: JobRun) -> None:
        while run.phase in UNSTARTED and run.return_asked:
            await self._wait(self._changed)

    def _wish(self) -> Wish | None:
        """What to pull now. None: nothing, until something changes or time passes."""
        health = self._tools.health
        if self._stopping or not health.well or self._held_foreign:
            return None
        if len(self._in_phase(Phase.FINISHING)) >= FINISHING_MAX:
            return None
        unstarted, running = self._unstarted(), self._in_phase(Phase.RUNNING)
        if not running:
            self._held_ahead = False
        if unstarted:
            return self._wish_with_one_waiting(unstarted, running)
        if not running:
            return tiers.idle(health.pools, self._turn)
        if self._held_ahead or self._window_opens_in(running[0]) > 0:
            return None
        return tiers.busy(health.pools, self._turn)

    def _wish_with_one_waiting(self, unstarted: list[JobRun], running: list[JobRun]) -> Wish | None:
        if any(run.lane == LANE_PRIORITY for run in unstarted) or len(unstarted) > 1:
            return None
        if not running and self._preparing_for(unstarted[0]) < PREPARING_SECONDS:
            return None
        return tiers.priority_only(self._tools.health.pools, self._turn)

    def _preparing_for(self, run: JobRun) -> float:
        return loop_time() - run.claimed_at

    def _window_opens_in(self, run: JobRun) -> float:
        if run.workflow is None or run.feed.started_at is None:
            return 0.0
        return lateness.opens_in(
            loop_time() - run.feed.started_at,
            fraction_of(self._tools, run.workflow, run.feed),
            expected_seconds(self._tools, run.workflow),
            self._tools.pace.late_window,
        )

    def _recheck_in(self) -> float | None:
        """Seconds until time alone may change the wish."""
        if self._held_foreign:
            return FOREIGN_LOOK_SECONDS
        unstarted, running = self._unstarted(), self._in_phase(Phase.RUNNING)
        if running and not unstarted and not self._held_ahead:
            opens = self._window_opens_in(running[0])
            # Progress may bring the end nearer than it looks now.
            return min(max(opens, 0.01), 1.0) if opens > 0 else None
        if unstarted and not running:
            left = PREPARING_SECONDS - self._preparing_for(unstarted[0])
            return left if left > 0 else None
        return None

    async def _wait(self, change: asyncio.Event, seconds: float | None = None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await change.wait()
        except TimeoutError:
            return

    def _note_gap(self) -> None:
        if self._in_phase(Phase.RUNNING):
            if self._ended_at is not None:
                IDLE_GAP.record(loop_time() - self._ended_at)
            self._ended_at = None
        elif self._in_phase(Phase.FINISHING) and self._ended_at is None:
            self._ended_at = loop_time()

    async def _check_foreign(self) -> None:
        if not self._held_foreign:
            return
        try:
            queue = await self._tools.server.queue()
        except (ServerUnreachableError, ServerAnswerError):
            return
        self._held_foreign = bool(queue.running or queue.pending)
