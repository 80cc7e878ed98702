"""An attempt made ready and posted: inputs verified and uploaded, the graph filled in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chassis import logs, tracing
from contracts.catalogue import Workflow
from contracts.generator import RunJob
from contracts.media import MediaRef
from generator.domain import graphs
from generator.domain.attempts import Sickness
from generator.domain.errors import (
    AttemptFailedError,
    HandBackError,
    NotHolderError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.domain.failures import Failure, Kind
from generator.domain.prompts import Where
from generator.handlers.claim import Claim
from generator.handlers.tools import Tools
from generator.ports import InputUnusableError

log = logs.get("generator.post")
T = TypeVar("T")
EXTENSIONS = {"image/png": "png", "image/webp": "webp", "image/jpeg": "jpg", "video/mp4": "mp4"}


class PromptPost:
    """One prompt id's way to the server. `prepare` may run before the claim is decided."""

    def __init__(
        self, tools: Tools, job: RunJob | None, workflow: Workflow | None, prompt_id: str
    ) -> None:
        self._tools = tools
        self._job = job
        self._workflow = workflow
        self._prompt_id = prompt_id
        self._turn = asyncio.Lock()
        self._uploaded: dict[str, str] | None = None
        self._failure: Exception | None = None

    async def prepare(self) -> None:
        """Upload the inputs, once: a second call has what the first one brought, or its error."""
        async with self._turn:
            if self._failure is not None:
                raise self._failure
            if self._uploaded is None and self._job and self._workflow:
                with tracing.span("upload_inputs"):
                    self._uploaded = await self._upload_all(self._job, self._workflow)

    async def prepare_early(self) -> None:
        """`prepare` whose failure waits for whoever needs its result."""
        try:
            await self.prepare()
        except (AttemptFailedError, HandBackError, NotHolderError) as error:
            self._failure = error

    async def _upload_all(self, job: RunJob, workflow: Workflow) -> dict[str, str]:
        refs = {ref.name: ref for ref in job.inputs}
        uploaded = {}
        for index, spec in enumerate(workflow.inputs):
            ref = refs.get(spec.name)
            if ref is None:
                raise AttemptFailedError(
                    Failure(kind=Kind.INPUT_DAMAGED, detail=f"no input {spec.name}")
                )
            uploaded[spec.name] = await self._upload(ref, index)
        return uploaded

    async def _upload(self, ref: MediaRef, index: int) -> str:
        try:
            body = await self._tools.media.fetch(ref)
        except InputUnusableError as error:
            failure = Failure(kind=Kind.INPUT_DAMAGED, detail=str(error))
            raise AttemptFailedError(failure) from error
        extension = EXTENSIONS.get(ref.mime, "bin")
        name = graphs.upload_name(self._prompt_id, index, extension)
        try:
            return await self._again(lambda: self._tools.server.upload(name, body, ref.mime))
        except (ServerUnreachableError, ServerAnswerError) as error:
            # Nothing was posted: the job never started here, and the server takes no other.
            self._tools.health.mark(Sickness.GONE, f"upload: {error}")
            raise HandBackError("upload_failed") from error

    async def submit(self, claim: Claim) -> None:
        """Post the prompt. After an ambiguous answer the server is asked before posting again."""
        assert self._workflow is not None
        assert self._uploaded is not None
        graph = graphs.fill(
            self._workflow,
            self._uploaded,
            prefix=graphs.prefix_of(claim.order_id, self._prompt_id),
            seed=graphs.seed_of(self._prompt_id),
        )
        note = {
            "server": self._tools.server.name,
            "order_id": str(claim.order_id),
            "epoch": claim.epoch,
            "attempt": claim.record.attempt,
        }
        doubtful = False

        async def post() -> None:
            nonlocal doubtful
            if doubtful and await self._is_there():
                return
            doubtful = True
            await self._tools.server.submit(self._prompt_id, graph, note)

        try:
            await self._again(post)
        except (ServerUnreachableError, ServerAnswerError) as error:
            failure = Failure(kind=Kind.SUBMIT_FAILED, detail=str(error))
            raise AttemptFailedError(failure) from error

    async def _is_there(self) -> bool:
        sighting = await self._tools.server.look_up(self._prompt_id)
        return sighting.where is not Where.LOST

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        pace = self._tools.pace
        for _ in range(pace.submit_retries):
            try:
                return await call()
            except (ServerUnreachableError, ServerAnswerError) as error:
                log.warning("submit_retried", prompt_id=self._prompt_id, reason=str(error))
            await asyncio.sleep(pace.submit_retry_after)
        return await call()
