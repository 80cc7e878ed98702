"""One order on this server, from its delivery to its last word."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Protocol

import msgspec
from opentelemetry.trace import Span, SpanKind

from chassis import logs, metrics, tracing
from chassis.errors import TransientError
from contracts.catalogue import Workflow
from contracts.generator import JobStarted, RunJob
from contracts.ids import OrderId
from generator.domain import claims
from generator.domain.claims import Answer, JobRecord, State
from generator.domain.errors import (
    ClaimLostError,
    NotHolderError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.handlers.accept_job import accept_job
from generator.handlers.attempt_job import JobAttempts
from generator.handlers.claim import Claim
from generator.handlers.feed import PromptFeed
from generator.handlers.post_prompt import PromptPost
from generator.handlers.report_progress import report_progress
from generator.handlers.tools import Tools, loop_time
from generator.ports import Arrival

log = logs.get("generator.run")


WAITED = metrics.histogram("generator.queue_wait", description="From queueing to the claim")


class Phase(Enum):
    """PREPARING and WAITING are unstarted; from FINISHING on ComfyUI is done with it."""

    PREPARING = "preparing"
    WAITING = "waiting"
    RUNNING = "running"
    FINISHING = "finishing"
    DONE = "done"


UNSTARTED = frozenset({Phase.PREPARING, Phase.WAITING})


class Place(Protocol):
    """What a run asks of the slot it has a place in."""

    def changed(self) -> None: ...

    def orders(self) -> tuple[OrderId, ...]:
        """Every order of the slot, running, waiting or being finished."""
        ...

    def executes_another(self, run: JobRun) -> bool: ...

    def in_hand(self, run: JobRun) -> JobRun | None:
        """Return another run of the same order."""
        ...

    async def make_room(self, run: JobRun) -> None:
        """Return once no regular job waits in front of a priority one."""
        ...

    def hold_claims(self, *, foreign: bool) -> None: ...


class JobRun:
    """Runs one order; `phase` tells the slot how far it is."""

    def __init__(self, tools: Tools, place: Place, arrival: Arrival) -> None:
        assert arrival.order_id is not None
        self.order_id = arrival.order_id
        self.lane = arrival.lane
        self.arrival = arrival
        self.phase = Phase.PREPARING
        self.feed = PromptFeed()
        self.prompt_id = tools.new_prompt_id()
        self.posted = False
        self.return_asked = ""
        self.claimed_at = loop_time()
        self.claimed: Claim | None = None
        self.job = _decode(arrival)
        self.workflow: Workflow | None = None
        if self.job is not None:
            self.workflow = tools.catalogue.get(self.job.workflow_id)
        self._tools = tools
        self._place = place
        self._over = False
        self._execution: Span | None = None
        self._record_moved = asyncio.Event()
        self._heard: JobRecord | None = None

    @classmethod
    def adopt(cls, tools: Tools, place: Place, claim: Claim) -> JobRun:
        """A run that an earlier process of this server began: its prompt may be running."""
        record = claim.record
        arrival = Arrival(
            order_id=claim.order_id,
            body=record.job,
            pool="",
            lane=record.lane,
            ack_subject=record.ack_subject,
            traceparent=record.traceparent,
            deliveries=1,
        )
        run = cls(tools, place, arrival)
        run._go_on(claim)
        return run

    def _go_on(self, claim: Claim) -> None:
        self.claimed = claim
        if claim.record.state != State.SETTLING and claim.record.prompt_id:
            self.prompt_id = claim.record.prompt_id
            self.posted = True
            self.feed.look_again()

    # What following and the attempts use.

    @property
    def claim(self) -> Claim:
        assert self.claimed is not None
        return self.claimed

    @property
    def waiting(self) -> bool:
        return self.phase is Phase.WAITING

    @property
    def ahead(self) -> bool:
        """Another job of this slot is being executed."""
        return self._place.executes_another(self)

    @property
    def ahead_too_long(self) -> bool:
        waited = loop_time() - self.claimed_at
        return self.ahead and waited >= self._tools.pace.ahead_patience

    @property
    def deadline_seconds(self) -> float:
        assert self.job is not None
        return self.job.deadline_seconds

    def mark_posted(self) -> None:
        self.posted = True
        self._enter(Phase.WAITING)

    def mark_started(self) -> None:
        self._enter(Phase.RUNNING)
        self._execution = tracing.start("execute_prompt", attributes={"prompt_id": self.prompt_id})
        self._tools.spawn(self._tell_started())
        self._tools.spawn(report_progress(self._tools, self))

    def mark_over(self) -> None:
        if self._execution is not None:
            self._execution.end()
            self._execution = None
        self._enter(Phase.FINISHING)

    def start_over(self, prompt_id: str) -> None:
        """The next attempt has a prompt of its own."""
        self._tools.server.unlisten(self.prompt_id)
        self.prompt_id, self.posted, self.feed = prompt_id, False, PromptFeed()
        self.claimed_at = loop_time()
        self._enter(Phase.PREPARING)

    def hold_claims(self, *, foreign: bool) -> None:
        self._place.hold_claims(foreign=foreign)

    async def make_room(self) -> None:
        await self._place.make_room(self)

    def ask_back(self, reason: str) -> None:
        """Give the job back if it has not started; watch `phase` for what became of it."""
        self.return_asked = reason
        self.feed.poke()

    def keep(self) -> None:
        """The job started after all."""
        self.return_asked = ""
        self._place.changed()

    def _enter(self, phase: Phase) -> None:
        if self.phase is not phase:
            self.phase = phase
            self._place.changed()

    # The run itself.

    async def run(self) -> None:
        """Never raises for what the world does; whatever is unfinished stays in the record."""
        beat = self._tools.spawn(self._keep_alive())
        try:
            with tracing.span(
                "run_job",
                traceparent=self.arrival.traceparent,
                kind=SpanKind.CONSUMER,
                attributes={"order_id": str(self.order_id), "server": self._tools.server.name},
            ):
                await self._run()
        except ClaimLostError:
            log.warning("claim_lost", order_id=str(self.order_id))
            await self.stop_stray_prompt()
        except NotHolderError:
            log.warning("lease_not_held", order_id=str(self.order_id))
        finally:
            self._over = True
            beat.cancel()
            self._tools.server.unlisten(self.prompt_id)
            self._enter(Phase.DONE)

    async def _run(self) -> None:
        # Before the claim: a cancel may follow the record as soon as there is one.
        stop_watching = await self._tools.claims.watch(self.order_id, self._on_record)
        try:
            await self._run_watched()
        finally:
            await stop_watching()

    async def _run_watched(self) -> None:
        post = PromptPost(self._tools, self.job, self.workflow, self.prompt_id)
        if self.claimed is None:
            # Inputs travel while the claim is decided: neither needs the other.
            preparing = self._tools.spawn(post.prepare_early())
            if not await self._accept() or self.posted:
                preparing.cancel()
        else:
            await self.claim.refresh()  # adopted, and maybe cancelled before anybody watched
        if self.claimed is not None:
            await JobAttempts(self._tools, self).work(post)

    async def _accept(self) -> bool:
        other = self._place.in_hand(self)
        with tracing.span("claim_job"):
            try:
                answer, claim = await accept_job(
                    self._tools,
                    self.arrival,
                    self.prompt_id,
                    in_hand=other is not None,
                    held=self._place.orders(),
                )
            except TransientError as error:
                # Nothing was settled: the job is delivered again when its ack_wait has passed.
                log.warning("claim_postponed", reason=str(error))
                return False
        if answer is Answer.ALREADY_HERE and other is not None and other.claimed is not None:
            await other.redelivered(self.arrival.ack_subject)
        if claim is None:
            return False
        self.claimed = claim
        if self._heard is not None:
            self._on_record(self._heard)
        if answer is Answer.REATTACH:
            self._go_on(claim)
        if self.arrival.sent_at is not None:
            waited = (self._tools.clock.now() - self.arrival.sent_at).total_seconds()
            WAITED.record(waited, {"pool": self.arrival.pool, "lane": self.lane})
        return True

    async def redelivered(self, ack_subject: str) -> None:
        """The stream delivered the order again: settle that delivery from now on."""
        try:
            await self.claim.change(lambda record: claims.redelivered(record, ack_subject))
        except ClaimLostError:
            self.feed.poke()

    def _on_record(self, record: JobRecord) -> None:
        claim = self.claimed
        if claim is None:
            self._heard = record  # our own claim, or already what follows it
        elif record.epoch != claim.epoch or record.cancel != claim.record.cancel:
            self._record_moved.set()

    async def _keep_alive(self) -> None:
        """Extend the delivery and, less often, the record; notice a cancel; ends with the run."""
        pace = self._tools.pace
        renew_at = loop_time() + pace.renew_every
        while not self._over:
            claim = self.claimed
            ack_subject = claim.record.ack_subject if claim else self.arrival.ack_subject
            if not ack_subject:  # settled a moment ago: a closed record names no delivery
                return
            await self._tools.settlement.in_progress(ack_subject)
            if claim is not None and loop_time() >= renew_at:
                renew_at = loop_time() + pace.renew_every
                try:
                    await claim.change(
                        lambda record: claims.renewed(record, self._tools.clock.now())
                    )
                except ClaimLostError:
                    self.feed.poke()
                    return
            await self._until_record_moves(pace.in_progress_every)

    async def _until_record_moves(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._record_moved.wait()
        except TimeoutError:
            return
        self._record_moved.clear()
        await self.claim.refresh()
        self.feed.poke()

    async def _tell_started(self) -> None:
        """Once per claim: a re-attached run that was known to run is not announced again."""
        assert self.job is not None
        tools, claim = self._tools, self.claim
        if claim.record.state != State.CLAIMED:
            return
        now = tools.clock.now()
        try:
            await claim.change(lambda record: claims.started(record, now))
        except ClaimLostError:
            return
        event = JobStarted(
            order_id=self.order_id,
            user_id=self.job.user_id,
            epoch=claim.epoch,
            server=tools.server.name,
            started_at=now,
        )
        await tools.events.tell(self.order_id, claim.epoch, event)

    async def stop_stray_prompt(self) -> None:
        """The order is somebody else's now; what still runs here is nobody's."""
        if not self.posted:
            return
        try:
            await self._tools.server.delete(self.prompt_id)
            await self._tools.server.interrupt(self.prompt_id)
        except (ServerUnreachableError, ServerAnswerError, NotHolderError):
            log.info("stray_prompt_left", prompt_id=self.prompt_id)


def _decode(arrival: Arrival) -> RunJob | None:
    try:
        return RunJob.decode(arrival.body)
    except msgspec.DecodeError:
        log.warning("job_undecodable", order_id=str(arrival.order_id))
        return None
