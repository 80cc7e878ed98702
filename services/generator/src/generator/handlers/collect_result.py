"""From a successful prompt to stored results: find the files, fetch, strip, store."""

from __future__ import annotations

import asyncio

from chassis import tracing
from contracts.catalogue import Workflow
from contracts.media import MediaRef
from generator.domain.errors import (
    AttemptFailedError,
    ServerAnswerError,
    ServerUnreachableError,
)
from generator.domain.failures import Failure, Kind
from generator.domain.graphs import ResultFile, result_files
from generator.domain.prompts import Ending
from generator.handlers.claim import Claim
from generator.handlers.tools import Tools, loop_time

RETRY_SECONDS = 1.0


async def collect_result(
    tools: Tools, claim: Claim, workflow: Workflow, ending: Ending
) -> tuple[MediaRef, ...]:
    """Raises AttemptFailedError when a file is missing or cannot be read."""
    files = result_files(ending.outputs, workflow.outputs)
    stored = []
    for index, file in enumerate(files):
        with tracing.span("download_result", attributes={"index": index}):
            body = await _download(tools, file)
        with tracing.span("store_result", attributes={"index": index, "bytes": len(body)}):
            key = f"results/{claim.order_id}/{claim.epoch}/{index}"
            stored.append(await tools.media.store(key, body, file))
    return tuple(stored)


async def _download(tools: Tools, file: ResultFile) -> bytes:
    # Output files survive a restart of ComfyUI, so a server that is away is waited for.
    patient_until = loop_time() + tools.pace.download_patience
    while True:
        try:
            return await tools.server.download(file)
        except (ServerUnreachableError, ServerAnswerError) as error:
            if loop_time() >= patient_until:
                failure = Failure(kind=Kind.OUTPUT_MISSING, detail="server away")
                raise AttemptFailedError(failure) from error
        await asyncio.sleep(RETRY_SECONDS)
