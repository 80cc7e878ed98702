"""What differs between the versions the simulator can be."""

import uuid

import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy, eventually, graph_of_steps

OLD, MIDDLE, NEW = "0.3.64", "0.25", "0.38"


@pytest.fixture(params=[OLD, MIDDLE, NEW])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_the_server_says_its_version(comfy: Comfy, mode: str) -> None:
    _, stats = await comfy.get("/system_stats")

    assert stats["system"]["comfyui_version"].startswith(mode)
    assert stats["devices"][0]["type"] == "cpu"


async def test_every_version_runs_a_prompt(comfy: Comfy, mode: str) -> None:
    async with comfy.ear("me") as ear:
        run = await comfy.run(graph_of_steps(), ear, client_id="me")

    assert run.status == "success"
    assert ("create_time" in run.history["prompt"][3]) is (mode != OLD)


async def test_only_newer_versions_have_jobs(comfy: Comfy, mode: str) -> None:
    run = await comfy.run(graph_of_steps())

    expected = 404 if mode == OLD else 200
    assert (await comfy.get("/api/jobs"))[0] == expected
    assert (await comfy.get(f"/api/jobs/{run.prompt_id}"))[0] == expected


@pytest.mark.parametrize("given", ["abc", 7, None])
async def test_the_oldest_takes_any_id_as_text(comfy: Comfy, mode: str, given: object) -> None:
    status, answer = await comfy.prompt(graph_of_steps(), prompt_id=given)

    if mode == OLD:
        assert (status, answer["prompt_id"]) == (200, str(given))
    else:
        assert status == (200 if given is None else 400)


async def test_an_unknown_class_has_another_name_in_the_oldest(comfy: Comfy, mode: str) -> None:
    status, answer = await comfy.prompt({"1": {"class_type": "Nope", "inputs": {}}})

    assert status == 400
    expected = "invalid_prompt" if mode == OLD else "missing_node_type"
    assert answer["error"]["type"] == expected


async def test_the_same_id_and_number_twice_hurts_only_newer_versions(
    simulator: ComfyUISimulator, comfy: Comfy, mode: str
) -> None:
    simulator.settings.time_scale = 1.0
    running = await comfy.queued(graph_of_steps(steps=10_000, step_s=0.001))

    async def runs() -> bool:
        return bool((await comfy.get("/queue"))[1]["queue_running"])

    await eventually(runs)
    same = {"prompt_id": str(uuid.uuid4()), "number": 5}
    # Two posts in one millisecond carry one create_time and compare as equal; more are needed.
    answers = [(await comfy.prompt(graph_of_steps(), **same))[0]]

    async def another_hurts() -> bool:
        answers.append((await comfy.prompt(graph_of_steps(), **same))[0])
        return answers[-1] == 500 or len(answers) > 10

    await eventually(another_hurts)
    await comfy.post("/interrupt", {"prompt_id": running})

    assert (500 in answers) is (mode != OLD)


async def test_only_the_newest_cancels_by_job(
    simulator: ComfyUISimulator, comfy: Comfy, mode: str
) -> None:
    simulator.settings.time_scale = 1.0
    running = await comfy.queued(graph_of_steps(steps=10_000, step_s=0.001))
    waiting = await comfy.queued(graph_of_steps())

    async def runs() -> bool:
        return bool((await comfy.get("/queue"))[1]["queue_running"])

    await eventually(runs)

    first = await comfy.post(f"/api/jobs/{waiting}/cancel")

    if mode != NEW:
        assert first[0] in {404, 405}
        return
    assert first == (200, {"cancelled": True})
    assert await comfy.post(f"/api/jobs/{waiting}/cancel") == (200, {"cancelled": False})
    assert await comfy.post("/api/jobs/cancel", {"job_ids": [running]}) == (
        200,
        {"cancelled": True},
    )
    await comfy.finished(running)
    assert (await comfy.get(f"/api/jobs/{running}"))[1]["status"] == "cancelled"
    assert (await comfy.get(f"/api/jobs/{waiting}"))[0] == 404


async def test_classes_are_described(comfy: Comfy, mode: str) -> None:
    _, one = await comfy.get("/object_info/ImageScale")
    _, everything = await comfy.get("/object_info")

    inputs = one["ImageScale"]["input"]["required"]
    assert list(inputs) == ["image", "upscale_method", "width", "height", "crop"]
    assert inputs["image"] == ["IMAGE"]
    assert inputs["crop"] == [["disabled", "center"]]
    assert one["ImageScale"]["output"] == ["IMAGE"]
    assert everything["ImageScale"] == one["ImageScale"]
    assert everything["SaveImage"]["output_node"] is True
    assert await comfy.get("/object_info/Nope") == (200, {})


async def test_memory_is_freed_only_with_a_body(
    simulator: ComfyUISimulator, comfy: Comfy, mode: str
) -> None:
    body = {"unload_models": True, "free_memory": True}

    assert await comfy.post("/free", body) == (200, "")
    async with comfy.session.post("/free") as response:
        assert response.status == 500
    assert simulator.process.free_calls == [body]


@pytest.mark.parametrize("path", ["/models", "/models/checkpoints", "/embeddings", "/features"])
async def test_lists_answer(comfy: Comfy, mode: str, path: str) -> None:
    assert (await comfy.get(path))[0] == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_foreign_pages_are_refused(
    comfy: Comfy, mode: str, headers: dict[str, str], expected: int
) -> None:
    async with comfy.session.get("/system_stats", headers=headers) as response:
        assert response.status == expected
    async with comfy.session.get("/queue", headers={"Origin": comfy.url}) as response:
        assert response.status == 200
