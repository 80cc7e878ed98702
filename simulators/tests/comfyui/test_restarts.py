"""Starting, dying and coming back: in this process, over HTTP, and as a program."""

import asyncio
import itertools
import os
import re
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy, eventually, graph_of_steps


async def test_a_start_up_delay_refuses_connections() -> None:
    async with (
        ComfyUISimulator(startup_delay_seconds=2) as simulator,
        Comfy(simulator.url) as comfy,
    ):
        with pytest.raises(aiohttp.ClientConnectorError):
            await comfy.get("/system_stats")

        await simulator.wait_ready()

        assert (await comfy.get("/system_stats"))[0] == 200


async def test_the_next_start_can_be_delayed_on_order(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await comfy.post("/control/faults", {"kind": "startup_delay", "seconds": 0.3})
    started = time.monotonic()

    await simulator.restart()

    assert time.monotonic() - started > 0.25


@pytest.mark.parametrize("path", ["/control/restart", "/control/kill"])
async def test_a_restart_over_http_cuts_sockets_and_forgets(
    simulator: ComfyUISimulator, comfy: Comfy, path: str
) -> None:
    run = await comfy.run(graph_of_steps())
    await comfy.upload("keep.png", b"x")
    temporary = simulator.storage.folder("temp") / "old.png"
    temporary.write_bytes(b"x")
    simulator.settings.time_scale = 1.0
    lost = await comfy.queued(graph_of_steps(steps=10_000, seed=9))
    async with comfy.ear("me") as ear:
        await ear.next()
        status, _ = await comfy.post(path, {"down_seconds": 2})
        while await ear.next() is not None:
            pass

    assert status == 200
    assert ear.closed_with == 1006
    with pytest.raises(aiohttp.ClientConnectionError):
        await comfy.get("/queue")
    await simulator.wait_ready()
    assert (await comfy.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}
    assert await comfy.history(run.prompt_id) is None
    assert await comfy.history(lost) is None
    assert len(await comfy.view(run.files()[0])) > 100
    assert simulator.storage.annotated("keep.png").is_file()
    assert not temporary.exists()
    _, state = await comfy.get("/control/state")
    assert state["incarnation"] == 2
    assert [prompt["outcome"] for prompt in state["prompts"]] == ["success", "lost"]


async def test_killed_stays_down_until_restarted(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    await simulator.kill()
    with pytest.raises(aiohttp.ClientConnectionError):
        await comfy.get("/queue")

    await simulator.restart()

    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_the_state_tells_what_was_posted_and_when(comfy: Comfy) -> None:
    before = time.time() * 1000
    run = await comfy.run(graph_of_steps(), extra_data={"job": "j1"}, client_id="me")

    _, state = await comfy.get("/control/state")

    [prompt] = state["prompts"]
    assert prompt["prompt_id"] == run.prompt_id
    assert prompt["client_id"] == "me"
    assert prompt["extra_data"]["job"] == "j1"
    assert prompt["outcome"] == "success"
    assert before <= prompt["posted_at_ms"] <= prompt["started_ms"] <= prompt["ended_ms"]
    assert (await comfy.get("/control/state", after="1"))[1]["prompts"] == []


async def test_the_time_scale_stretches_simulated_work(comfy: Comfy) -> None:
    await comfy.post("/control/time_scale", {"time_scale": 0.1, "job_seconds": 3.0})
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 1},
        },
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }

    started = time.monotonic()
    await comfy.run(graph)
    slow = time.monotonic() - started
    # An hour of work, scaled to nothing: it would not end within the test otherwise.
    await comfy.post("/control/time_scale", {"time_scale": 0, "job_seconds": 3_600.0})
    graph["1"]["inputs"]["color"] = 2
    done = await comfy.run(graph)

    assert slow > 0.28
    assert done.status == "success"


async def test_a_job_queued_one_ahead_starts_at_once(comfy: Comfy) -> None:
    ids = [await comfy.queued(graph_of_steps(seed=seed)) for seed in range(30)]
    entries = [await comfy.finished(prompt_id) for prompt_id in ids]

    def at(entry: dict[str, dict[str, list[list[dict[str, int]]]]], index: int) -> int:
        return int(entry["status"]["messages"][index][1]["timestamp"])

    pairs = itertools.pairwise(entries)
    gaps = sorted(at(later, 0) - at(earlier, -1) for earlier, later in pairs)
    # Not how long: a busy machine may pause between any two of them, but not between all.
    assert gaps[0] <= 3


async def test_the_program_says_when_it_listens_and_stops_on_sigterm(tmp_path: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators.comfyui", "--port", "0", "--data-dir", str(tmp_path)),
        *("--mode", "0.38", "--time-scale", "0", "--startup-delay", "0.1"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    line = (await asyncio.wait_for(program.stdout.readline(), 60)).decode()
    found = re.fullmatch(r"listening (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line

    async with Comfy(found.group(1)) as comfy:
        assert (await comfy.run(graph_of_steps())).status == "success"
        os.kill(program.pid, signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 30) == 0

        async def refused() -> bool:
            try:
                await comfy.get("/queue")
            except aiohttp.ClientConnectionError:
                return True
            return False

        await eventually(refused)
    assert (tmp_path / "output" / "s_00001_.png").is_file()
