"""The simulator says what a real ComfyUI 0.25.0 was recorded to say, in the same order."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy, binary_header

RECORDED = Path(__file__).parent / "recorded"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COUNTER = re.compile(r"_\d{5}_")
TIMES = {"timestamp", "create_time", "execution_start_time", "execution_end_time"}


def normalised(value: Any, key: str = "") -> Any:
    """Without ids, times, counters, tracebacks and tensors, which no two runs share."""
    if key in TIMES:
        return "<time>"
    if key == "traceback":
        return "<lines>"
    if key in {"number", "priority"}:
        return "<number>"
    if key == "current_outputs":
        return sorted(value)
    if key == "prompt" and isinstance(value, list):
        value = ["<number>", *value[1:]]
    if isinstance(value, dict):
        return {k: normalised(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [normalised(v) for v in value]
    if isinstance(value, str):
        if value.startswith("tensor("):
            return "<tensor>"
        return COUNTER.sub("_<n>_", UUID.sub("<id>", value))
    return value


def recorded_frame(frame: dict[str, Any]) -> Any:
    if frame["type"] != "BINARY":
        return normalised(frame)
    head = bytes.fromhex(frame["head"])
    event = int.from_bytes(head[:4], "big")
    # A recorded head holds the format of a plain preview, or the length of the metadata.
    return ["BINARY", event, int.from_bytes(head[4:8], "big")]


def heard_frame(frame: dict[str, Any]) -> Any:
    if frame["type"] != "BINARY":
        return normalised(frame)
    header = binary_header(frame["body"])
    if header["event"] == 4:
        assert header["image"].startswith(b"\xff\xd8")
        return ["BINARY", 4, len(json.dumps(header["metadata"]))]
    return ["BINARY", header["event"], header["format"]]


def read_trace(name: str) -> list[dict[str, Any]]:
    lines = (RECORDED / "traces" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def read_graph(name: str) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads((RECORDED / "workflows" / f"{name}.json").read_text())
    return graph


def part(trace: list[dict[str, Any]], key: str) -> Any:
    return next(line[key] for line in trace if key in line)


def step_of(frame: dict[str, Any]) -> float:
    data = frame["data"]
    if frame["type"] == "progress_state":
        data = data["nodes"]["2"]
    return float(data.get("value", 0))


def priming(graph: dict[str, Any], cached: list[str]) -> dict[str, Any]:
    """The same graph, changed so that only the nodes the record had cached stay the same."""
    before = copy.deepcopy(graph)
    changed = False
    for node_id, node in before.items():
        if node_id in cached or changed:
            continue
        inputs = node["inputs"]
        if "seed" in inputs:
            inputs["seed"] += 1
        elif "width" in inputs:
            inputs["width"] += 1
        else:
            continue
        changed = True
        inputs.update({k: "none_result" for k in inputs if k == "kind"})
    return before


SUCCESSES = [
    "success_preview_meta",
    "success_preview_v1",
    "success_cached",
    "wf_animated_webp",
    "wf_empty_blur",
    "wf_image_edit",
    "wf_video_mp4",
    "wf_webm",
]
ERRORS = ["error_cuda_error", "error_oom", "error_value_error"]


@pytest.mark.parametrize("name", SUCCESSES + ERRORS)
async def test_a_recorded_job_is_told_in_the_recorded_order(
    comfy: Comfy, photo: bytes, name: str
) -> None:
    trace = read_trace(name)
    prompt_id = part(trace, "response")["prompt_id"]
    entry = part(trace, "history")[prompt_id]
    graph, cached = entry["prompt"][2], entry["status"]["messages"][1][1]["nodes"]
    await comfy.upload("input.png", photo)
    everything_cached = len(cached) == len(graph)
    if cached:
        before = graph if everything_cached else priming(graph, cached)
        await comfy.run(before)

    async with comfy.ear("cap", metadata=name == "success_preview_meta") as ear:
        run = await comfy.run(graph, ear, client_id="cap")
    _, job = await comfy.get(f"/api/jobs/{run.prompt_id}")

    heard = [heard_frame(frame) for frame in run.frames]
    assert heard == [recorded_frame(line["ws"]) for line in trace if "ws" in line]
    assert normalised(run.history) == normalised(entry)
    assert normalised(job) == normalised(part(trace, "job"))


async def test_an_interrupted_job_is_told_in_the_recorded_order(
    simulator: ComfyUISimulator, comfy: Comfy
) -> None:
    trace = read_trace("interrupted")
    prompt_id = part(trace, "response")["prompt_id"]
    entry = part(trace, "history")[prompt_id]
    graph = entry["prompt"][2]
    await comfy.run(priming(graph, ["1"]))
    simulator.settings.time_scale = 1.0

    async with comfy.ear("cap") as ear:
        own_id = await comfy.queued(graph, client_id="cap")
        frames = await ear.until(
            lambda f: f["type"] == "progress" and f["data"]["value"] == 5  # as in the record
        )
        await comfy.post("/interrupt", {"prompt_id": own_id})
        frames += await ear.until_idle(own_id)

    # On a busy machine the interrupt may come a step later than it did in the record.
    heard = [heard_frame(frame) for frame in frames if step_of(frame) <= 5]
    assert heard == [recorded_frame(line["ws"]) for line in trace if "ws" in line]
    assert normalised(await comfy.history(own_id)) == normalised(entry)
    _, job = await comfy.get(f"/api/jobs/{own_id}")
    assert normalised(job) == normalised(part(trace, "job"))


async def test_color_transfer_tells_progress_for_every_frame(comfy: Comfy) -> None:
    graph = read_graph("core_progress")
    for node_id in ("1", "3"):
        graph[node_id]["inputs"].update(width=64, height=64)

    async with comfy.ear("cap") as ear:
        run = await comfy.run(graph, ear, client_id="cap")

    steps = [frame["data"] for frame in run.frames if frame["type"] == "progress"]
    assert [(step["value"], step["max"]) for step in steps] == [(n, 12) for n in range(1, 13)]
    assert {step["node"] for step in steps} == {"5"}
    assert run.files()[0]["filename"] == "progress_00001_.webp"


async def test_the_recorded_preview_graph_runs_as_it_is(comfy: Comfy) -> None:
    run = await comfy.run(read_graph("steps_preview"))

    assert run.status == "success"
