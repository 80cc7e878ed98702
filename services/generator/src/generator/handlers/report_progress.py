"""Live progress of one run: at most one message a second, lost without regret."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contracts.generator import JobProgress
from generator.domain import lateness, progress
from generator.handlers.feed import PromptFeed
from generator.handlers.tools import Tools, loop_time

if TYPE_CHECKING:
    from contracts.catalogue import Workflow
    from generator.handlers.run_job import JobRun


def expected_seconds(tools: Tools, workflow: Workflow) -> float:
    return tools.durations.expected(workflow.id, workflow.expected_seconds)


def fraction_of(tools: Tools, workflow: Workflow, feed: PromptFeed) -> float:
    """By the nodes while the socket tells of them, else by the clock."""
    if feed.nodes:
        weights = tools.durations.weights(workflow.id)
        return progress.fraction(workflow.graph, feed.nodes, weights)
    if feed.started_at is None:
        return 0.0
    elapsed = loop_time() - feed.started_at
    return min(elapsed / expected_seconds(tools, workflow), progress.FRACTION_MAX)


def seconds_left(tools: Tools, workflow: Workflow, feed: PromptFeed) -> float:
    assert feed.started_at is not None
    return lateness.remaining_seconds(
        loop_time() - feed.started_at,
        fraction_of(tools, workflow, feed),
        expected_seconds(tools, workflow),
    )


async def report_progress(tools: Tools, run: JobRun) -> None:
    """Report until the run is no longer executed."""
    assert run.job is not None
    assert run.workflow is not None
    feed, executing = run.feed, run.phase
    while run.phase is executing and run.feed is feed:
        feed.moved.clear()
        preview, feed.preview = feed.preview, b""
        await tools.events.progress(
            JobProgress(
                order_id=run.order_id,
                user_id=run.job.user_id,
                fraction=fraction_of(tools, run.workflow, feed),
                eta_seconds=seconds_left(tools, run.workflow, feed),
                preview=await tools.media.preview(preview) if preview else b"",
            )
        )
        await asyncio.sleep(tools.pace.progress_every)
        await _news(feed, tools)


async def _news(feed: PromptFeed, tools: Tools) -> None:
    """Wait for progress; without any, the clock alone moves it now and then."""
    try:
        async with asyncio.timeout(tools.pace.look_every):
            await feed.moved.wait()
    except TimeoutError:
        return
