"""POST /prompt: ids, numbers, the order of the queue, and every way of refusing a graph."""

import uuid
from typing import Any

import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import (
    Comfy,
    eventually,
    graph_of_edit,
    graph_of_steps,
)

SERVER_ERROR = "500 Internal Server Error\n\nServer got itself in trouble"


def changed(change: Any) -> dict[str, Any]:
    """An empty image, inverted twice and saved, with one thing made wrong."""
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0},
        },
        "3": {
            "class_type": "ImageBlur",
            "inputs": {"image": ["1", 0], "blur_radius": 1, "sigma": 1.0},
        },
        "4": {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "x"}},
    }
    change(graph)
    return graph


async def test_a_good_prompt_is_accepted_with_id_number_and_no_errors(comfy: Comfy) -> None:
    prompt_id = str(uuid.uuid4())

    first = await comfy.prompt(graph_of_steps(), prompt_id=prompt_id)
    second = await comfy.prompt(graph_of_steps())

    assert first == (200, {"prompt_id": prompt_id, "number": 0, "node_errors": {}})
    assert second[1]["number"] == 1
    assert uuid.UUID(second[1]["prompt_id"])


UPPER = "AB51156D-2752-4265-B63D-2B1100E0AACF"


@pytest.mark.parametrize("bad", ["abc", UPPER, UPPER.replace("-", "").lower(), 7, ""])
async def test_only_canonical_uuids_are_ids(comfy: Comfy, bad: object) -> None:
    status, answer = await comfy.prompt(graph_of_steps(), prompt_id=bad)

    assert status == 400
    assert answer["error"]["type"] == "invalid_prompt_id"
    assert answer["node_errors"] == {}


async def test_a_null_id_is_minted(comfy: Comfy) -> None:
    _, answer = await comfy.prompt(graph_of_steps(), prompt_id=None)

    assert uuid.UUID(answer["prompt_id"])


async def test_the_counter_moves_for_refused_posts_and_not_for_unreadable_ones(
    comfy: Comfy,
) -> None:
    await comfy.prompt({})
    await comfy.prompt(["not", "a", "graph"])  # type: ignore[arg-type]
    await comfy.prompt(graph_of_steps(), prompt_id="bad")
    async with comfy.session.post("/prompt", data=b"{") as response:
        assert (response.status, await response.text()) == (500, SERVER_ERROR)
        assert response.content_type == "text/plain"
    await comfy.prompt(graph_of_steps(), number=77)

    _, answer = await comfy.prompt(graph_of_steps())

    assert answer["number"] == 3


@pytest.mark.parametrize("graph", [["a", "list"], "text", {"1": "not a node"}])
async def test_a_malformed_graph_is_a_server_error(comfy: Comfy, graph: Any) -> None:
    assert await comfy.prompt(graph) == (500, SERVER_ERROR)


async def test_a_body_without_a_prompt_or_outputs_is_refused(comfy: Comfy) -> None:
    _, nothing = await comfy.post("/prompt", {})
    status, empty = await comfy.post("/prompt", {"prompt": {}})

    assert nothing["error"]["type"] == "no_prompt"
    assert status == 400
    assert empty["error"]["type"] == "prompt_no_outputs"


def _set(node: str, field: str, value: Any) -> Any:
    return lambda graph: graph[node]["inputs"].__setitem__(field, value)


@pytest.mark.parametrize(
    ("change", "node", "kind", "details"),
    [
        (_set("3", "blur_radius", 99), "3", "value_bigger_than_max", "blur_radius"),
        (_set("3", "blur_radius", 0), "3", "value_smaller_than_min", "blur_radius"),
        (_set("3", "blur_radius", "many"), "3", "invalid_input_type", "blur_radius, many"),
        (lambda g: g["3"]["inputs"].pop("sigma"), "3", "required_input_missing", "sigma"),
        (_set("4", "image", ["1"]), "4", "bad_linked_input", "image"),
        (_set("3", "sigma", ["1", 0]), "3", "return_type_mismatch", "received_type(IMAGE)"),
        (_set("3", "image", ["99", 0]), "3", "exception_during_inner_validation", "'99'"),
        (_set("3", "image", ["1", 5]), "3", "exception_during_inner_validation", "range"),
        (lambda g: g["3"].pop("inputs"), "3", "exception_during_inner_validation", "'inputs'"),
        (_set("3", "image", ["4", 0]), "3", "dependency_cycle", "4 -> 3 -> 4"),
    ],
)
async def test_a_bad_node_is_named_with_its_error(
    comfy: Comfy, change: Any, node: str, kind: str, details: str
) -> None:
    status, answer = await comfy.prompt(changed(change))

    assert status == 400
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert set(answer["error"]) == {"type", "message", "details", "extra_info"}
    bad = answer["node_errors"][node]
    assert bad["dependent_outputs"] == ["9"]
    assert bad["class_type"] == ("ImageBlur" if node == "3" else "ImageInvert")
    assert [error["type"] for error in bad["errors"]] == [kind]
    assert details in bad["errors"][0]["details"]
    assert list(answer["node_errors"]) == [node]


async def test_a_number_written_as_text_is_accepted(comfy: Comfy) -> None:
    run = await comfy.run(changed(_set("3", "blur_radius", "4")))

    assert run.status == "success"
    assert run.history["prompt"][2]["3"]["inputs"]["blur_radius"] == 4


async def test_a_missing_input_file_fails_its_own_validation(comfy: Comfy) -> None:
    _, answer = await comfy.prompt(graph_of_edit("nope.png"))

    error = answer["node_errors"]["1"]["errors"][0]
    assert error["type"] == "custom_validation_failed"
    assert error["details"] == "image - Invalid image file: nope.png"


async def test_a_missing_model_is_not_in_the_list(comfy: Comfy) -> None:
    graph = graph_of_steps()
    name = "sd_xl_base_1.0.safetensors"
    graph["2"] = {
        "class_type": "GenTestNeedsModel",
        "inputs": {"image": ["1", 0], "ckpt_name": name},
    }

    _, answer = await comfy.prompt(graph)

    error = answer["node_errors"]["2"]["errors"][0]
    assert error["type"] == "value_not_in_list"
    assert error["details"] == f"ckpt_name: '{name}' not in []"


@pytest.mark.parametrize("class_type", ["NoSuchNode", None])
async def test_an_unknown_class_is_a_missing_node_type(
    comfy: Comfy, class_type: str | None
) -> None:
    graph = graph_of_steps()
    graph["7"] = {"inputs": {}, **({"class_type": class_type} if class_type else {})}

    status, answer = await comfy.prompt(graph)

    assert status == 400
    assert answer["error"]["type"] == "missing_node_type"
    assert set(answer["error"]["extra_info"]) == {"node_id", "class_type", "node_title"}
    assert answer["error"]["extra_info"]["class_type"] == class_type
    assert answer["node_errors"] == {}


async def test_an_unused_invalid_node_does_not_matter(comfy: Comfy) -> None:
    graph = graph_of_steps()
    graph["7"] = {"class_type": "ImageBlur", "inputs": {"image": ["99", 0]}}

    run = await comfy.run(graph)

    assert run.status == "success"


async def test_a_200_can_hide_a_failed_output(comfy: Comfy) -> None:
    graph = graph_of_steps()
    graph["9"]["inputs"]["images"] = ["2", 0]
    graph["2"]["inputs"]["steps"] = 0
    graph["5"] = {"class_type": "PreviewAny", "inputs": {"source": "hello"}}

    status, answer = await comfy.prompt(graph)
    entry = await comfy.finished(answer["prompt_id"])

    assert status == 200
    assert list(answer["node_errors"]) == ["2"]
    assert entry["status"]["status_str"] == "success"
    assert entry["outputs"] == {"5": {"text": ["hello"]}}


async def test_only_the_wanted_outputs_run(comfy: Comfy) -> None:
    graph = graph_of_steps()
    graph["5"] = {"class_type": "PreviewAny", "inputs": {"source": "hello"}}

    run = await comfy.run(graph, partial_execution_targets=["5"])

    assert list(run.history["outputs"]) == ["5"]


async def test_extra_data_is_kept_and_secrets_are_not(comfy: Comfy) -> None:
    extra = {"job": "j1", "api_key_comfy_org": "secret"}

    run = await comfy.run(graph_of_steps(), extra_data=extra, client_id="me")

    kept = run.history["prompt"][3]
    assert kept.pop("create_time") > 1_600_000_000_000
    assert kept == {"job": "j1", "client_id": "me"}


async def test_prompts_run_by_number_and_lists_are_in_heap_order(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    simulator.settings.time_scale = 1.0
    blocking = graph_of_steps(steps=20_000, step_s=0.001)
    await comfy.queued(blocking, extra_data={"name": "run"})
    await eventually(lambda: _running(comfy))
    orders: list[tuple[str, dict[str, Any]]] = [
        ("a", {}),
        ("b", {}),
        ("front1", {"front": True}),
        ("front2", {"front": True}),
        ("-100", {"number": -100}),
        ("0.5", {"number": 0.5}),
        ("last", {}),
    ]
    ids = {}
    for name, fields in orders:
        extra = {"name": name}
        ids[name] = await comfy.queued(graph_of_steps(step_s=0), extra_data=extra, **fields)
    _, queue = await comfy.get("/queue")
    pending = queue["queue_pending"]

    await comfy.post("/queue", {"delete": [ids["b"]]})
    await comfy.post("/interrupt")
    await comfy.finished(ids["last"])

    started = sorted((r for r in simulator.prompts() if r.started_ms), key=lambda r: r.started_ms)
    names = [record.extra_data["name"] for record in started]
    assert names == ["run", "-100", "front2", "front1", "0.5", "a", "last"]
    assert [item[0] for item in pending] != sorted(item[0] for item in pending)
    assert min(pending, key=lambda item: item[0])[3]["name"] == "-100"


async def _running(comfy: Comfy) -> bool:
    _, queue = await comfy.get("/queue")
    return bool(queue["queue_running"])


async def test_the_same_id_twice_runs_twice_and_leaves_one_entry(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    prompt_id = str(uuid.uuid4())
    first = await comfy.run(graph_of_steps(), prompt_id=prompt_id)
    second = await comfy.run(graph_of_steps(), prompt_id=prompt_id)

    assert len(simulator.prompts()) == 2
    _, everything = await comfy.get("/history")
    assert list(everything) == [prompt_id]
    assert second.files() == first.files()


async def test_the_same_id_and_number_twice_kills_the_worker(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    simulator.settings.time_scale = 1.0
    await comfy.queued(graph_of_steps(steps=1, step_s=0.5))
    await eventually(lambda: _running(comfy))
    same = {"prompt_id": str(uuid.uuid4()), "number": 5}

    first, _ = await comfy.prompt(graph_of_steps(), **same, extra_data={"n": 1})
    second, text = await comfy.prompt(graph_of_steps(), **same, extra_data={"n": 2})
    _, queue = await comfy.get("/queue")

    assert (first, second, text) == (200, 500, SERVER_ERROR)
    assert len(queue["queue_pending"]) == 2
    # A third, before them: taking it makes the heap compare the two.
    await comfy.queued(graph_of_steps(), number=-1)

    async def dead() -> bool:
        return not simulator.process.worker_alive

    await eventually(dead)
    await comfy.queued(graph_of_steps())
    _, queue = await comfy.get("/queue")
    assert queue["queue_running"] == []
    assert len(queue["queue_pending"]) >= 2
    await simulator.restart()
    assert (await comfy.run(graph_of_steps())).status == "success"


async def test_a_body_too_large_is_refused_by_size() -> None:
    async with ComfyUISimulator(max_upload_bytes=1000) as small, Comfy(small.url) as comfy:
        status, text = await comfy.prompt(graph_of_steps(), extra_data={"x": "y" * 2000})
        uploaded, _ = await comfy.upload("big.png", b"x" * 5000)

    assert (status, text) == (413, "Maximum request body size 1000 exceeded.")
    assert uploaded == 413
