"""A claimed order's attempts on this server, until it is settled or given back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from chassis import logs, metrics, tracing
from contracts import errors
from contracts.billing import LANE_PRIORITY
from contracts.ids import NOBODY
from generator.domain import attempts, claims, outcomes
from generator.domain.attempts import Sickness, Step, Verdict
from generator.domain.claims import Outcome, State
from generator.domain.errors import (
    AttemptFailedError,
    ClaimLostError,
    HandBackError,
    NotHolderError,
    OrderCancelledError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.domain.failures import Failure, Kind
from generator.domain.prompts import Ending
from generator.handlers.collect_result import collect_result
from generator.handlers.follow_prompt import Following
from generator.handlers.post_prompt import PromptPost
from generator.handlers.settle import finish, give_back, settle
from generator.handlers.tools import Tools

if TYPE_CHECKING:
    from generator.handlers.run_job import JobRun

log = logs.get("generator.attempt")
FAILED = metrics.counter("generator.attempts_failed", description="Failed attempts, by kind")
UNSERVED_DELAY = timedelta(seconds=5)
UNSERVED_DELIVERIES_MAX = 12
"""About a minute: long enough for a rolling upgrade to bring a server that knows the workflow."""


class JobAttempts:
    """Upload, post, follow, collect; and after a failure what its kind asks for."""

    def __init__(self, tools: Tools, run: JobRun) -> None:
        self._tools = tools
        self._run = run

    async def work(self, post: PromptPost) -> None:
        """Raises ClaimLostError or NotHolderError when this pod may not go on."""
        claim = self._run.claim
        if claim.record.state == State.SETTLING:
            await finish(self._tools, claim)
            return
        early = self._early_outcome()
        if early is not None:
            await settle(self._tools, claim, early)
        elif self._run.workflow is None:
            await self._run.stop_stray_prompt()
            reason = "workflow_not_served"
            await give_back(self._tools, claim, reason=reason, delay=UNSERVED_DELAY)
        else:
            await self._try_until_settled(post)

    def _early_outcome(self) -> Outcome | None:
        """Why a claimed job is not run at all."""
        run, record, epoch = self._run, self._run.claim.record, self._run.claim.epoch
        if run.job is None:
            return outcomes.failed(run.order_id, NOBODY, epoch, errors.FAILED_UNDECODABLE)
        user_id = run.job.user_id
        if attempts.worn_out(record.failures, record.adoptions):
            failure_class = attempts.worn_out_class(record.failures)
            return outcomes.failed(run.order_id, user_id, epoch, failure_class, "worn out")
        if run.posted:
            return None
        if record.cancel:
            return outcomes.cancelled(run.order_id, user_id, epoch, record.cancel)
        if self._tools.clock.now() >= run.job.start_before:
            return outcomes.cancelled(run.order_id, user_id, epoch, errors.CANCELLED_TOO_LATE)
        if run.workflow is None and run.arrival.deliveries >= UNSERVED_DELIVERIES_MAX:
            failure_class = errors.FAILED_WORKFLOW
            return outcomes.failed(run.order_id, user_id, epoch, failure_class, "unknown")
        return None

    async def _try_until_settled(self, post: PromptPost) -> None:
        tools, claim = self._tools, self._run.claim
        following: PromptPost | None = post
        while following is not None:
            try:
                outcome = await self._attempt(following)
            except AttemptFailedError as error:
                following = await self._after_failure(error.failure)
            except HandBackError as error:
                await give_back(tools, claim, reason=error.reason)
                return
            except OrderCancelledError:
                await self._settle_cancelled()
                return
            else:
                await settle(tools, claim, outcome)
                await self._forget_prompt()
                return

    async def _attempt(self, post: PromptPost) -> Outcome:
        run, tools = self._run, self._tools
        assert run.workflow is not None
        assert run.job is not None
        tools.server.listen(run.prompt_id, run.feed)
        if not run.posted:
            await self._post(post)
        run.mark_posted()
        following = Following(tools, run)
        with tracing.span("follow_prompt", attributes={"prompt_id": run.prompt_id}):
            try:
                ending = await following.follow()
            finally:
                run.mark_over()
        self._check_ending(ending, deadline_passed=following.deadline_passed_at is not None)
        tools.durations.learn(run.workflow.id, ending.run_seconds, run.feed.node_seconds)
        outputs = await collect_result(tools, run.claim, run.workflow, ending)
        return outcomes.succeeded(run.job, run.claim.epoch, outputs, ending.run_seconds)

    async def _post(self, post: PromptPost) -> None:
        run = self._run
        await post.prepare()
        if run.lane == LANE_PRIORITY:
            await run.make_room()
        self._check_orders()
        with tracing.span("submit_prompt", attributes={"prompt_id": run.prompt_id}):
            await post.submit(run.claim)

    def _check_orders(self) -> None:
        """What may have been asked while inputs were uploaded."""
        run = self._run
        if run.claim.lost:
            raise ClaimLostError(str(run.order_id))
        if run.claim.record.cancel:
            raise OrderCancelledError
        if run.return_asked:
            raise HandBackError(run.return_asked)
        if run.ahead_too_long:
            run.hold_claims(foreign=False)
            raise HandBackError("ahead_too_long")

    def _check_ending(self, ending: Ending, *, deadline_passed: bool) -> None:
        if ending.failure is not None:
            raise AttemptFailedError(ending.failure)
        if not ending.interrupted:
            return
        if self._run.claim.record.cancel:
            raise OrderCancelledError
        if deadline_passed:
            raise AttemptFailedError(Failure(kind=Kind.DEADLINE, detail="deadline passed"))
        raise AttemptFailedError(Failure(kind=Kind.INTERRUPTED, detail="interrupted by others"))

    async def _after_failure(self, failure: Failure) -> PromptPost | None:
        """Settle or give back; or return the next attempt on this server."""
        run, tools = self._run, self._tools
        run.mark_over()
        verdict = attempts.judge(failure, run.claim.record.failures)
        log.warning(
            "attempt_failed",
            order_id=str(run.order_id),
            kind=failure.kind.value,
            detail=failure.detail,
            step=verdict.step.value,
        )
        FAILED.add(1, {"kind": failure.kind.value, "step": verdict.step.value})
        self._tell_health(verdict, failure)
        if run.claim.record.cancel:
            await self._settle_cancelled()
        elif verdict.step is Step.FAIL:
            await self._settle_failed(verdict)
        elif verdict.step is Step.ELSEWHERE:
            kind, here = failure.kind.value, tools.server.name
            await give_back(tools, run.claim, reason=kind, kind=kind, avoid=here)
        else:
            return await self._next_attempt(verdict.step, failure.kind)
        return None

    def _tell_health(self, verdict: Verdict, failure: Failure) -> None:
        health, run = self._tools.health, self._run
        if verdict.sick is not Sickness.NONE:
            health.mark(verdict.sick, failure.kind.value, prompt_id=run.prompt_id)
        if verdict.pool_out and run.workflow is not None:
            health.take_pool_out(run.workflow.pool, failure.detail)

    async def _next_attempt(self, step: Step, kind: str) -> PromptPost:
        run, tools = self._run, self._tools
        if step is Step.FREE_MEMORY:
            try:
                await tools.server.free_memory()
            except (ServerUnreachableError, ServerAnswerError):
                log.info("memory_not_freed", order_id=str(run.order_id))
        prompt_id, now = tools.new_prompt_id(), tools.clock.now()
        await run.claim.change(lambda record: claims.next_attempt(record, kind, prompt_id, now))
        run.start_over(prompt_id)
        return PromptPost(tools, run.job, run.workflow, prompt_id)

    async def _settle_cancelled(self) -> None:
        run = self._run
        assert run.job is not None
        reason = run.claim.record.cancel
        outcome = outcomes.cancelled(run.order_id, run.job.user_id, run.claim.epoch, reason)
        await settle(self._tools, run.claim, outcome)

    async def _settle_failed(self, verdict: Verdict) -> None:
        run = self._run
        assert run.job is not None
        outcome = outcomes.failed(
            run.order_id,
            run.job.user_id,
            run.claim.epoch,
            verdict.failure_class,
            verdict.detail,
        )
        await settle(self._tools, run.claim, outcome)

    async def _forget_prompt(self) -> None:
        """The result is stored and told; the history entry holds the person's text."""
        try:
            await self._tools.server.forget(self._run.prompt_id)
        except (ServerUnreachableError, ServerAnswerError, NotHolderError):
            log.info("history_kept", prompt_id=self._run.prompt_id)
