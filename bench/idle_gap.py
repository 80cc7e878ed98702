"""GPU idle gap between back-to-back jobs: one job ahead, against the poll of older systems.

Server clock alone: from a prompt's end (history written) to the next one's start. The simulator
and the generator are processes of their own, as they are in life.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from bench.harness import Figure, machine, percentile
from chassis.testing import drain
from devstack.testing import private_nats
from generator.testing import (
    GeneratorProcess,
    Shop,
    open_shop,
    quick_settings,
    steps_graph,
    write_workflow,
)

JOB_STEPS, STEP_SECONDS = 4, 0.1
POLL_SECONDS = 3.0
LATENCY_ROUNDS = 40


class Simulator:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def prompts(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/control/state") as answer:
            state = await answer.json()
        return list(state["prompts"])

    async def gaps(self, after: int = 0) -> list[float]:
        """Milliseconds between each prompt's end and the next one's start, in run order."""
        ended = [each for each in (await self.prompts())[after:] if each["outcome"] == "success"]
        ended.sort(key=lambda each: each["started_ms"])
        return [
            later["started_ms"] - earlier["ended_ms"]
            for earlier, later in itertools.pairwise(ended)
        ]


@asynccontextmanager
async def running_simulator() -> AsyncIterator[Simulator]:
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulators.comfyui",
            "--data-dir",
            folder,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            async with aiohttp.ClientSession() as session:
                yield Simulator(line.split()[1], session)
        finally:
            process.kill()
            await process.wait()


async def one_ahead(jobs: int) -> tuple[list[float], list[float]]:
    """The generator with its one job ahead: idle gaps, and queued → posted on an idle server."""
    async with (
        private_nats() as nats,
        open_shop(nats.url) as shop,
        running_simulator() as comfyui,
    ):
        with tempfile.TemporaryDirectory() as folder:
            catalogue = Path(folder) / "catalogue"
            graph = steps_graph(JOB_STEPS, STEP_SECONDS)
            write_workflow(catalogue, "job", graph, expected_seconds=0.4, seeded=True)
            write_workflow(catalogue, "tiny", steps_graph(1, 0.0))
            two_seconds = timedelta(seconds=2)
            settings = quick_settings(shop, comfyui.url, catalogue, late_window=two_seconds)
            generator = GeneratorProcess(settings)
            generator.start()
            try:
                await shop.end_of(await shop.order("tiny"), within=30)
                latencies = await idle_latencies(shop, comfyui)
                before = len(await comfyui.prompts())
                for _ in range(jobs):
                    await shop.order("job")
                await drain(lambda: _empty(shop), within=timedelta(seconds=120))
                return await comfyui.gaps(before), latencies
            finally:
                generator.close()


async def _empty(shop: Shop) -> bool:
    await asyncio.sleep(0.5)  # looking more often would take time from what is measured
    return await shop.jobs_left() == 0


async def idle_latencies(shop: Shop, comfyui: Simulator) -> list[float]:
    """From the job's publication to the arrival of its POST /prompt, one at a time."""
    latencies = []
    for _ in range(LATENCY_ROUNDS):
        published_ms = shop.clock.now().timestamp() * 1000
        await shop.order("tiny")
        await drain(lambda: _empty(shop))
        latencies.append((await comfyui.prompts())[-1]["posted_at_ms"] - published_ms)
    return latencies


async def polled(jobs: int) -> list[float]:
    """What older systems do: post, look at /history every three seconds, then post the next."""
    async with running_simulator() as comfyui:
        for _ in range(jobs):
            prompt_id = str(uuid4())
            graph = steps_graph(random.randint(3, 33), 0.1)
            graph["2"]["inputs"]["seed"] = random.getrandbits(32)
            body = {"prompt": graph, "prompt_id": prompt_id}
            await comfyui.session.post(f"{comfyui.url}/prompt", json=body)
            done = False
            while not done:
                await asyncio.sleep(POLL_SECONDS)
                history = f"{comfyui.url}/history/{prompt_id}"
                async with comfyui.session.get(history) as answer:
                    done = bool(await answer.json())
        return await comfyui.gaps()


async def measure(jobs: int = 30, polled_jobs: int = 6) -> Figure:
    figure = Figure("GPU idle gap between back-to-back jobs", "median <= 3 ms with one job ahead")
    figure.values |= machine()
    gaps, latencies = await one_ahead(jobs)
    waits = await polled(polled_jobs)
    figure.add("one job ahead, median", percentile(gaps, 0.5), "ms", key="ahead_p50_ms")
    figure.add("one job ahead, p90", percentile(gaps, 0.9), "ms", key="ahead_p90_ms")
    figure.add("one job ahead, max", max(gaps), "ms", key="ahead_max_ms")
    label = f"/history every {POLL_SECONDS:g} s, median"
    figure.add(label, percentile(waits, 0.5), "ms", key="polled_p50_ms")
    queued = "job queued -> POST /prompt, idle server"
    figure.add(f"{queued}, median", percentile(latencies, 0.5), "ms", key="posted_p50_ms")
    figure.add(f"{queued}, p99", percentile(latencies, 0.99), "ms", key="posted_p99_ms")
    return figure


if __name__ == "__main__":
    asyncio.run(measure()).show()
