"""Every fault a test can order, seen from outside."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from simulators.comfyui.faults import KINDS
from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import (
    Comfy,
    eventually,
    graph_of_failure,
    graph_of_steps,
    types,
)

FILE = {"filename": "s_00001_.png", "type": "output"}


async def order(comfy: Comfy, kind: str, **fields: Any) -> None:
    status, answer = await comfy.post("/control/faults", {"kind": kind, **fields})
    assert status == 200, answer


async def failed_with(comfy: Comfy, **extra: Any) -> tuple[str, str]:
    run = await comfy.run(graph_of_steps(), extra_data=extra)
    kind, data = run.last_message
    assert kind == "execution_error"
    return data["exception_type"], data["exception_message"]


async def test_unknown_faults_are_refused_with_the_known_ones(comfy: Comfy) -> None:
    status, answer = await comfy.post("/control/faults", {"kind": "earthquake"})

    assert status == 400
    assert all(kind in answer["error"] for kind in KINDS)


async def test_a_fault_strikes_only_its_match_and_only_so_often(comfy: Comfy) -> None:
    await order(comfy, "error", match="order-7", times=2)

    assert (await comfy.run(graph_of_steps(), extra_data={"job": "order-8"})).status == "success"
    for seed in (1, 2):
        run = await comfy.run(graph_of_steps(seed=seed + 10), extra_data={"job": "order-7"})
        assert run.status == "error"
    run = await comfy.run(graph_of_steps(seed=20), extra_data={"job": "order-7"})
    assert run.status == "success"


async def test_faults_can_be_listed_and_cleared(comfy: Comfy) -> None:
    await comfy.post("/control/faults", [{"kind": "oom", "times": -1}, {"kind": "error"}])

    _, listed = await comfy.get("/control/faults")
    async with comfy.session.delete("/control/faults") as response:
        assert response.status == 200

    assert [fault["kind"] for fault in listed] == ["oom", "error"]
    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_an_ordered_error_has_its_type_and_message(comfy: Comfy) -> None:
    await order(comfy, "error", type="KeyError", message="'x'")

    assert await failed_with(comfy) == ("KeyError", "'x'")


async def test_out_of_memory_looks_like_torch(comfy: Comfy) -> None:
    await order(comfy, "oom")

    kind, message = await failed_with(comfy)

    assert kind == "torch.OutOfMemoryError"
    assert message.startswith("CUDA out of memory")
    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_a_cuda_error_sticks_until_restart(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    await order(comfy, "cuda_sticky", match="first")

    for job in ("first", "second", "third"):
        kind, message = await failed_with(comfy, job=job)
        assert kind == "RuntimeError"
        assert message.startswith("CUDA error:")
    await simulator.restart()
    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_a_full_disk_fails_the_saving(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    await order(comfy, "disk_full")

    run = await comfy.run(graph_of_steps())

    _, data = run.last_message
    assert (data["node_type"], data["exception_type"]) == ("SaveImage", "OSError")
    assert "[Errno 28] No space left on device" in data["exception_message"]
    assert list(simulator.storage.folder("output").iterdir()) == []


@pytest.mark.parametrize("kind", ["hard_exit", "restart"])
async def test_an_exit_mid_job_loses_the_state_and_keeps_the_files(
    simulator: ComfyUISimulator, comfy: Comfy, kind: str
) -> None:
    await comfy.run(graph_of_steps(seed=5))
    await order(comfy, kind, match="killer", down_seconds=0.2)
    async with comfy.ear("me") as ear:
        prompt_id = await comfy.queued(graph_of_steps(), extra_data={"j": "killer"}, client_id="me")
        with pytest.raises(ConnectionError):
            await ear.until_idle(prompt_id)
        assert ear.closed_with == 1006
    with pytest.raises(aiohttp.ClientConnectionError):
        await comfy.get("/queue")

    await simulator.wait_ready()

    assert await comfy.get("/history") == (200, {})
    assert (await comfy.get(f"/api/jobs/{prompt_id}"))[0] == 404
    assert (await comfy.prompt(graph_of_steps()))[1]["number"] == 0
    assert len(await comfy.view(FILE)) > 100
    assert [record.outcome for record in simulator.prompts()][:2] == ["success", "lost"]
    assert [record.incarnation for record in simulator.prompts()] == [1, 1, 2]


async def test_worker_death_leaves_http_alive_and_the_queue_stuck(comfy: Comfy) -> None:
    await order(comfy, "worker_death")
    stuck = await comfy.queued(graph_of_steps())
    waiting = await comfy.queued(graph_of_steps(seed=2))

    async def dead() -> bool:
        return not (await comfy.get("/control/state"))[1]["worker_alive"]

    await eventually(dead)
    assert await comfy.post("/interrupt", {"prompt_id": stuck}) == (200, "")
    _, queue = await comfy.get("/queue")
    assert [item[1] for item in queue["queue_running"]] == [stuck]
    assert [item[1] for item in queue["queue_pending"]] == [waiting]


async def test_a_node_raising_system_exit_kills_the_worker(comfy: Comfy) -> None:
    graph = graph_of_steps()
    inputs = {"image": ["1", 0], "kind": "system_exit", "seed": 1}
    graph["2"] = {"class_type": "GenTestFail", "inputs": inputs}
    await comfy.queued(graph)

    async def dead() -> bool:
        return not (await comfy.get("/control/state"))[1]["worker_alive"]

    await eventually(dead)


@pytest.mark.parametrize(
    ("kind", "exception"),
    [
        ("value_error", "ValueError"),
        ("oom", "torch.OutOfMemoryError"),
        ("cuda_error", "RuntimeError"),
        ("file_not_found", "FileNotFoundError"),
        ("none_result", "TypeError"),
    ],
)
async def test_the_failing_node_fails_in_its_way(comfy: Comfy, kind: str, exception: str) -> None:
    run = await comfy.run(graph_of_failure(kind))

    assert run.last_message[1]["exception_type"] == exception
    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_a_node_calling_exit_takes_the_process_with_it(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await comfy.queued(graph_of_failure("hard_exit"))

    async def restarted() -> bool:
        await simulator.wait_ready()
        return simulator.process.incarnation == 2

    await eventually(restarted)
    assert simulator.prompts()[0].outcome == "lost"


async def test_a_hang_answers_nobody_and_runs_the_timed_out_post_later(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await order(comfy, "hang", seconds=5, now=True)
    short = aiohttp.ClientTimeout(total=1)

    with pytest.raises(asyncio.TimeoutError):
        await comfy.session.get("/system_stats", timeout=short)
    with pytest.raises(asyncio.TimeoutError):
        await comfy.session.post("/prompt", json={"prompt": graph_of_steps()}, timeout=short)

    async def ran() -> bool:
        return [record.outcome for record in simulator.prompts()] == ["success"]

    await eventually(ran)


async def test_a_job_can_hang_the_process(comfy: Comfy) -> None:
    await order(comfy, "hang", seconds=0.2)
    started = time.monotonic()

    run = await comfy.run(graph_of_steps())

    assert run.status == "success"
    assert time.monotonic() - started > 0.15


async def test_a_block_ignores_interrupts_until_it_ends(comfy: Comfy) -> None:
    await order(comfy, "block", seconds=2)
    started = time.monotonic()
    prompt_id = await comfy.queued(graph_of_steps())

    async def running() -> bool:
        return bool((await comfy.get("/queue"))[1]["queue_running"])

    await eventually(running)
    await comfy.post("/interrupt", {"prompt_id": prompt_id})
    entry = await comfy.finished(prompt_id)

    assert time.monotonic() - started > 1.9
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"


async def test_a_lost_job_is_in_neither_queue_nor_history(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await order(comfy, "lost")
    prompt_id = await comfy.queued(graph_of_steps())

    async def gone() -> bool:
        return simulator.prompts()[0].outcome == "lost"

    await eventually(gone)
    assert (await comfy.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}
    assert await comfy.history(prompt_id) is None


@pytest.mark.parametrize("now", [True, False])
async def test_a_socket_is_cut_without_a_goodbye(comfy: Comfy, now: bool) -> None:
    async with comfy.ear("me") as ear:
        await ear.next()
        await order(comfy, "ws_close", now=now)
        prompt_id = await comfy.queued(graph_of_steps(), client_id="me")
        with pytest.raises(ConnectionError):
            await ear.until_idle(prompt_id)
        assert ear.closed_with == 1006
    assert (await comfy.finished(prompt_id))["status"]["status_str"] == "success"


@pytest.mark.parametrize("now", [True, False])
async def test_a_socket_falls_silent_and_stays_open(comfy: Comfy, now: bool) -> None:
    async with comfy.ear("me") as ear:
        await ear.next()
        await order(comfy, "ws_silent", now=now)
        prompt_id = await comfy.queued(graph_of_steps(), client_id="me")
        await comfy.finished(prompt_id)
        heard: list[str] = []
        while not await ear.quiet(0.05):
            heard.append("something")
        assert not ear.socket.closed
    async with comfy.ear("me") as ear:
        run = await comfy.run(graph_of_steps(seed=2), ear, client_id="me")
    assert "execution_success" in types(run.frames)
    assert len(heard) < (1 if now else 6)


async def test_history_can_come_later_than_success(comfy: Comfy) -> None:
    await order(comfy, "history_delay", seconds=2)
    async with comfy.ear("me") as ear:
        prompt_id = await comfy.queued(graph_of_steps(), client_id="me")
        await ear.until(lambda f: f["type"] == "execution_success")
        assert await comfy.history(prompt_id) is None
        await ear.until_idle(prompt_id)
    assert await comfy.history(prompt_id) is not None


async def test_a_500_may_hide_a_queued_prompt(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    await order(comfy, "prompt_500_queued")
    queued = await comfy.prompt(graph_of_steps())
    await order(comfy, "prompt_500_not_queued")
    refused = await comfy.prompt(graph_of_steps())

    assert queued == refused
    assert queued[0] == 500
    assert len(simulator.prompts()) == 1
    await comfy.finished(simulator.prompts()[0].prompt_id)


async def test_a_slow_answer_comes_after_the_prompt_is_queued(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await order(comfy, "slow_prompt", seconds=5)

    asking = asyncio.ensure_future(comfy.prompt(graph_of_steps()))

    async def queued() -> bool:
        return bool(simulator.prompts())

    await eventually(queued)
    assert not asking.done()
    asking.cancel()

    await comfy.finished(simulator.prompts()[0].prompt_id)


async def test_a_payload_is_too_large_on_order(comfy: Comfy) -> None:
    await order(comfy, "payload_too_large", match="/upload/image")

    assert (await comfy.prompt(graph_of_steps()))[0] == 200
    status, text = await comfy.upload("a.png", b"x")
    assert (status, text) == (413, "Maximum request body size 104857600 exceeded.")
    assert (await comfy.upload("a.png", b"x"))[0] == 200


async def test_views_can_be_slow_missing_or_cut_short(comfy: Comfy) -> None:
    await comfy.run(graph_of_steps())
    whole = await comfy.view(FILE)
    await order(comfy, "slow_view", seconds=0.2, match="s_00001")
    started = time.monotonic()
    assert await comfy.view(FILE) == whole
    assert time.monotonic() - started > 0.15

    await order(comfy, "view_404")
    assert (await comfy.get("/view", **FILE))[0] == 404

    await order(comfy, "view_truncated")
    async with comfy.session.get("/view", params=FILE) as response:
        assert int(response.headers["Content-Length"]) == len(whole)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert await comfy.view(FILE) == whole


async def test_any_request_can_fail_on_order(comfy: Comfy) -> None:
    await order(comfy, "http_error", match="GET /queue", status=503)

    assert (await comfy.get("/history"))[0] == 200
    assert (await comfy.get("/queue"))[0] == 503
    assert (await comfy.get("/queue"))[0] == 200
