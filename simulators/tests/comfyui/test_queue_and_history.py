"""GET /queue, deleting, interrupting, history and /api/jobs."""

import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import (
    Comfy,
    eventually,
    graph_of_failure,
    graph_of_steps,
    types,
)

LONG = {"steps": 2000, "step_s": 0.01}


@pytest.fixture
async def busy(simulator: ComfyUISimulator, comfy: Comfy) -> str:
    """The id of a long prompt that is running, for a client nobody listens as."""
    simulator.settings.time_scale = 1.0
    prompt_id = await comfy.queued(graph_of_steps(seed=77, **LONG), client_id="nobody")
    await eventually(lambda: _is_running(comfy, prompt_id))
    return prompt_id


async def _is_running(comfy: Comfy, prompt_id: str) -> bool:
    _, queue = await comfy.get("/queue")
    return [item[1] for item in queue["queue_running"]] == [prompt_id]


async def test_the_queue_shows_whole_items(comfy: Comfy, busy: str) -> None:
    waiting = await comfy.queued(graph_of_steps(), extra_data={"job": "j"}, client_id="c")

    _, queue = await comfy.get("/queue")
    _, count = await comfy.get("/prompt")

    number, prompt_id, graph, extra, outputs = queue["queue_pending"][0]
    assert (number, prompt_id, outputs) == (1, waiting, ["9"])
    assert graph == graph_of_steps()
    assert extra["job"] == "j"
    assert extra["client_id"] == "c"
    assert queue["queue_running"][0][1] == busy
    assert count == {"exec_info": {"queue_remaining": 2}}


async def test_a_deleted_prompt_leaves_no_trace_but_status(comfy: Comfy, busy: str) -> None:
    waiting = await comfy.queued(graph_of_steps(), client_id="ear")
    async with comfy.ear("ear") as ear:
        assert (await ear.next() or {})["type"] == "status"

        answers = [
            await comfy.post("/queue", {"delete": [waiting]}),
            await comfy.post("/queue", {"delete": ["unknown", busy]}),
        ]

        assert answers == [(200, ""), (200, "")]
        frame = await ear.next()
        assert frame is not None
        assert frame["data"]["status"] == {"exec_info": {"queue_remaining": 1}}
        assert await ear.quiet()
    assert await comfy.history(waiting) is None
    assert (await comfy.get(f"/api/jobs/{waiting}"))[0] == 404
    assert await _is_running(comfy, busy)


async def test_clear_empties_the_queue_and_leaves_the_running(comfy: Comfy, busy: str) -> None:
    await comfy.queued(graph_of_steps())
    await comfy.queued(graph_of_steps())

    assert await comfy.post("/queue", {"clear": True}) == (200, "")

    _, queue = await comfy.get("/queue")
    assert queue["queue_pending"] == []
    assert queue["queue_running"][0][1] == busy


async def test_an_interrupt_names_only_the_running_prompt(comfy: Comfy, busy: str) -> None:
    waiting = await comfy.queued(graph_of_steps(steps=1))

    assert await comfy.post("/interrupt", {"prompt_id": waiting}) == (200, "")
    assert await _is_running(comfy, busy)
    assert await comfy.post("/interrupt", {"prompt_id": busy}) == (200, "")

    entry = await comfy.finished(busy)
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["completed"] is False
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert (await comfy.finished(waiting))["status"]["status_str"] == "success"
    _, job = await comfy.get(f"/api/jobs/{busy}")
    assert job["status"] == "cancelled"


@pytest.mark.parametrize("body", [None, {}])
async def test_a_bare_interrupt_stops_whatever_runs(
    comfy: Comfy, busy: str, body: dict[str, str] | None
) -> None:
    await comfy.post("/interrupt", body)

    assert (await comfy.finished(busy))["status"]["status_str"] == "error"


async def test_an_idle_interrupt_does_not_hit_the_next_prompt(comfy: Comfy) -> None:
    assert await comfy.post("/interrupt") == (200, "")

    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_a_blocking_node_is_waited_for_and_the_next_interrupted(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    simulator.settings.time_scale = 1.0
    graph = graph_of_steps()
    inputs = {"image": ["1", 0], "seed": 1, "seconds": 0.4}
    graph["2"] = {"class_type": "GenTestBlock", "inputs": inputs}
    async with comfy.ear("c") as ear:
        prompt_id = await comfy.queued(graph, client_id="c")
        await ear.until(lambda f: f["type"] == "executing" and f["data"]["node"] == "2")
        await comfy.post("/interrupt", {"prompt_id": prompt_id})
        frames = await ear.until_idle(prompt_id)

    interrupted = next(f["data"] for f in frames if f["type"] == "execution_interrupted")
    assert interrupted["node_id"] == "9"
    assert interrupted["node_type"] == "SaveImage"
    assert interrupted["executed"] == ["1", "2"]


async def test_unknown_pending_running_and_lost_all_look_alike_in_history(
    comfy: Comfy, busy: str
) -> None:
    waiting = await comfy.queued(graph_of_steps())

    for prompt_id in (busy, waiting, "unknown"):
        assert await comfy.get(f"/history/{prompt_id}") == (200, {})


async def test_outputs_of_nodes_finished_before_an_error_are_kept(comfy: Comfy) -> None:
    graph = graph_of_failure("value_error")
    save = {"images": ["1", 0], "filename_prefix": "early"}
    graph = {"0": {"class_type": "SaveImage", "inputs": save}, **graph}

    run = await comfy.run(graph)

    assert run.status == "error"
    assert [file["filename"] for file in run.files()] == ["early_00001_.png"]
    kind, data = run.last_message
    assert kind == "execution_error"
    assert set(data) == {
        "prompt_id",
        "node_id",
        "node_type",
        "executed",
        "exception_message",
        "exception_type",
        "traceback",
        "current_inputs",
        "current_outputs",
        "timestamp",
    }


async def test_history_is_paged_deleted_and_cleared(comfy: Comfy) -> None:
    runs = [await comfy.run(graph_of_steps(seed=seed)) for seed in range(3)]
    ids = [run.prompt_id for run in runs]

    _, newest = await comfy.get("/history", max_items="2")
    _, page = await comfy.get("/history", max_items="1", offset="1")
    assert list(newest) == ids[1:]
    assert list(page) == [ids[1]]

    assert await comfy.post("/history", {"delete": [ids[0]]}) == (200, "")
    assert list((await comfy.get("/history"))[1]) == ids[1:]
    assert await comfy.post("/history", {"clear": True}) == (200, "")
    assert (await comfy.get("/history"))[1] == {}
    assert len(await comfy.view(runs[0].files()[0])) > 100


async def test_jobs_tell_running_pending_done_and_lost_apart(comfy: Comfy, busy: str) -> None:
    extra = {"extra_pnginfo": {"workflow": {"id": "w1"}}}
    waiting = await comfy.queued(graph_of_steps(), extra_data=extra)

    _, running = await comfy.get(f"/api/jobs/{busy}")
    _, pending = await comfy.get(f"/api/jobs/{waiting}")
    lost = await comfy.get("/api/jobs/unknown")

    assert (running["status"], pending["status"]) == ("in_progress", "pending")
    assert pending["workflow_id"] == "w1"
    assert lost == (404, {"error": "Job not found"})


async def test_jobs_are_listed_filtered_sorted_and_paged(comfy: Comfy) -> None:
    good = await comfy.run(graph_of_steps())
    bad = await comfy.run(graph_of_failure("value_error"))

    _, everything = await comfy.get("/api/jobs", sort_order="asc")
    _, failed = await comfy.get("/api/jobs", status="failed,cancelled")
    _, first = await comfy.get("/api/jobs", limit="1", sort_by="execution_duration")

    assert {job["id"] for job in everything["jobs"]} == {good.prompt_id, bad.prompt_id}
    assert [job["id"] for job in failed["jobs"]] == [bad.prompt_id]
    assert first["pagination"] == {"offset": 0, "limit": 1, "total": 2, "has_more": True}
    assert "outputs" not in failed["jobs"][0]
    for params in ({"status": "nonsense"}, {"sort_by": "x"}, {"limit": "many"}):
        assert (await comfy.get("/api/jobs", **params))[0] == 400


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/features", "/system_stats"])
async def test_every_route_is_there_with_the_prefix(comfy: Comfy, path: str) -> None:
    plain, prefixed = await comfy.get(path), await comfy.get(f"/api{path}")

    assert plain == prefixed
    assert plain[0] == 200


async def test_jobs_are_only_there_with_the_prefix(comfy: Comfy) -> None:
    assert (await comfy.get("/jobs"))[0] == 404


async def test_a_fully_cached_prompt_executes_nothing(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    graph = graph_of_steps()
    first = await comfy.run(graph)
    async with comfy.ear("c") as ear:
        again = await comfy.run(graph, ear, client_id="c")

    assert again.files() == first.files()
    executing = [f for f in again.frames if f["type"] == "executing" and f["data"]["node"]]
    assert executing == []
    assert "executed" in types(again.frames)
    assert [record.nodes_executed for record in simulator.prompts()] == [3, 0]


async def test_a_new_prefix_reruns_only_the_saving(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    await comfy.run(graph_of_steps(prefix="one"))
    run = await comfy.run(graph_of_steps(prefix="jobs/J1/out"))

    assert simulator.prompts()[-1].nodes_executed == 1
    file = {"filename": "out_00001_.png", "subfolder": "jobs/J1", "type": "output"}
    assert run.files() == [file]


async def test_a_cached_result_names_its_file_even_when_it_is_gone(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    first = await comfy.run(graph_of_steps())
    path = simulator.storage.inside("output", "", first.files()[0]["filename"])
    path.unlink()

    again = await comfy.run(graph_of_steps())

    assert again.status == "success"
    assert again.files() == first.files()
    assert (await comfy.get("/view", **again.files()[0]))[0] == 404


async def test_another_graph_in_between_evicts(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    await comfy.run(graph_of_steps(seed=1))
    await comfy.run(graph_of_steps(seed=2))
    await comfy.run(graph_of_steps(seed=1))

    assert [record.nodes_executed for record in simulator.prompts()] == [3, 2, 2]


async def test_a_changed_input_file_is_not_taken_from_the_cache(
    comfy: Comfy, simulator: ComfyUISimulator, photo: bytes
) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "p.png"}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    await comfy.upload("p.png", photo)
    await comfy.run(graph)
    await comfy.upload("p.png", photo + b" ", overwrite="true")
    await comfy.run(graph)

    assert [record.nodes_executed for record in simulator.prompts()] == [2, 2]
