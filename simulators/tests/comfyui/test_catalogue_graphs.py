"""The five default workflows run on the simulator and give really different results."""

import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from contracts import catalogue
from simulators.comfyui.nodes import REGISTRY
from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy

FOLDER = Path(__file__).parents[3] / "catalogue"
WORKFLOWS = catalogue.load(FOLDER)
IMAGES = ["image.enhance", "image.product_scene"]
VIDEOS = ["video.orbit", "video.parallax", "video.zoom"]


def photograph(width: int, height: int) -> bytes:
    down, across = np.mgrid[0:height, 0:width]
    pixels = np.stack(
        [across * 255 // width, down * 255 // height, (across // 16 + down // 16) % 2 * 200],
        axis=2,
    ).astype(np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, format="JPEG", quality=92)
    return buffer.getvalue()


async def ordered(comfy: Comfy, name: str, photo: bytes, attempt: str = "a1") -> bytes:
    """Run a workflow the way the generator does; the bytes of its one result."""
    workflow = WORKFLOWS[name]
    graph: dict[str, Any] = json.loads(json.dumps(workflow.graph))
    _, uploaded = await comfy.upload(f"{attempt}.jpg", photo, overwrite="true")
    graph[workflow.inputs[0].node]["inputs"][workflow.inputs[0].field] = uploaded["name"]
    for node, field in workflow.variation.filename_prefix:
        graph[node]["inputs"][field] = f"jobs/{name}/{attempt}/out"
    for node, field in workflow.variation.seed:
        graph[node]["inputs"][field] = 12345
    run = await comfy.run(graph)
    assert run.status == "success", run.last_message
    [result] = run.history["outputs"][workflow.outputs[0].node]["images"]
    assert result["type"] == "output"
    return await comfy.view(result)


def test_the_five_default_workflows_are_there() -> None:
    prices = {name: WORKFLOWS[name].price_credits for name in IMAGES + VIDEOS}
    assert prices == {**dict.fromkeys(VIDEOS, 30), "image.enhance": 0, "image.product_scene": 10}
    enhance = WORKFLOWS["image.enhance"]
    assert enhance.free_per_day == 5
    assert set(enhance.unlimited_tiers) == {"vip", "black_gold"}


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_graphs_use_core_nodes_only_and_every_node_leads_to_the_result(name: str) -> None:
    graph = WORKFLOWS[name].graph
    used: set[str] = set()
    waiting = [output.node for output in WORKFLOWS[name].outputs]
    while waiting:
        node_id = waiting.pop()
        if node_id not in used:
            used.add(node_id)
            values = graph[node_id]["inputs"].values()
            waiting += [value[0] for value in values if isinstance(value, list)]

    modules = {REGISTRY[node["class_type"]].module for node in graph.values()}
    assert {m for m in modules if not m.startswith(("nodes", "comfy_extras."))} == set()
    assert used == set(graph)


async def test_enhance_enlarges_and_sharpens_and_keeps_the_shape(comfy: Comfy) -> None:
    result = PillowImage.open(
        io.BytesIO(await ordered(comfy, "image.enhance", photograph(320, 200)))
    )

    assert result.size == (1600, 1000)
    plain = PillowImage.open(io.BytesIO(photograph(320, 200))).resize(result.size)
    sharper, softer = (np.asarray(p.convert("L")).astype(int) for p in (result, plain))
    assert np.abs(np.diff(sharper)).mean() > 1.2 * np.abs(np.diff(softer)).mean()


async def test_product_scene_puts_the_photo_before_a_backdrop(comfy: Comfy) -> None:
    result = PillowImage.open(
        io.BytesIO(await ordered(comfy, "image.product_scene", photograph(300, 400)))
    )

    assert result.size == (1024, 1024)
    pixels = np.asarray(result).astype(int)
    wall, product, table = pixels[40:100, 400:600], pixels[300:600, 350:650], pixels[960:, :]
    assert wall.std(axis=(0, 1)).max() < 12 < product.std(axis=(0, 1)).max()
    below_product, beside = pixels[790:800, 480:540].mean(), pixels[790:800, 40:100].mean()
    assert below_product < beside - 15, "no shadow"
    assert table.mean() > wall.mean() + 15


async def test_product_scene_respects_a_cut_out(comfy: Comfy) -> None:
    cut_out = PillowImage.new("RGBA", (300, 300), (0, 0, 0, 0))
    cut_out.paste((200, 10, 10, 255), (100, 100, 200, 200))
    buffer = io.BytesIO()
    cut_out.save(buffer, format="PNG")

    result = PillowImage.open(
        io.BytesIO(await ordered(comfy, "image.product_scene", buffer.getvalue()))
    )

    inside, outside = result.getpixel((512, 460)), result.getpixel((260, 220))
    assert inside[0] > 150
    assert inside[1] < 80
    assert outside[1] > 120, "the transparent part shows the wall"


@pytest.mark.parametrize(
    ("name", "size"), list(zip(VIDEOS, [(96, 64), (64, 640), (1200, 300)], strict=True))
)
async def test_a_video_is_playable_and_moves(
    comfy: Comfy, name: str, size: tuple[int, int]
) -> None:
    body = await ordered(comfy, name, photograph(*size))

    with av.open(io.BytesIO(body)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 12
        frames = [
            frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)
        ]
    assert len(frames) == 24
    assert frames[0].shape == (512, 512, 3)
    moves = [np.abs(later - frames[0]).mean() for later in frames]
    assert moves[12] > 3
    assert moves[23] < moves[12], "it ends where it began"


async def test_two_attempts_get_two_files(simulator: ComfyUISimulator, comfy: Comfy) -> None:
    photo = photograph(128, 128)
    await ordered(comfy, "video.orbit", photo, "a1")
    await ordered(comfy, "video.orbit", photo, "a2")

    folder = simulator.storage.folder("output") / "jobs" / "video.orbit"
    assert sorted(p.name for p in folder.iterdir()) == ["a1", "a2"]


async def test_at_time_scale_one_an_order_takes_seconds_and_shows_its_nodes(comfy: Comfy) -> None:
    await comfy.post("/control/time_scale", {"time_scale": 0.1, "job_seconds": 3.0})
    graph = json.loads(json.dumps(WORKFLOWS["image.product_scene"].graph))
    await comfy.upload("photo.png", photograph(64, 64))

    async with comfy.ear("me") as ear:
        run = await comfy.run(graph, ear, client_id="me")

    executing = [f for f in run.frames if f["type"] == "executing" and f["data"]["node"]]
    assert len(executing) == len(graph)
    messages = dict(run.history["status"]["messages"])
    spent = messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"]
    assert spent >= 300
