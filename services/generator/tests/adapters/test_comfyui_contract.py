"""What the driver relies on, asked of every version: simulated ones, and any server you name.

`COMFYUI_URL=http://host:8188` adds that server. Nothing here uses what only a simulator has:
core nodes, no control calls, and prompts of others are left alone.
"""

import asyncio
import copy
import io
import os
import random
from datetime import timedelta
from uuid import uuid4

import pytest
from PIL import Image

from chassis.testing import drain
from contracts.catalogue import OutputSpec
from generator.adapters.comfyui import ComfyUI
from generator.domain.errors import AttemptFailedError
from generator.domain.failures import Kind
from generator.domain.graphs import result_files
from generator.domain.prompts import Where
from generator.handlers.feed import PromptFeed
from generator.testing import photo
from simulators.comfyui.server import ComfyUISimulator

REAL = os.environ.get("COMFYUI_URL", "")
SERVERS = ["0.3.64", "0.25", "0.38", *(["COMFYUI_URL"] if REAL else [])]
IMAGE = (OutputSpec(node="9", kind="image"),)
EDIT = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "input.png"}},
    "2": {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["1", 0],
            "upscale_method": "lanczos",
            "width": 128,
            "height": 96,
            "crop": "center",
        },
    },
    "4": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "e"}},
}
NOISE = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 512, "height": 512, "batch_size": 12, "color": 2254540},
    },
    "2": {"class_type": "ImageAddNoise", "inputs": {"image": ["1", 0], "seed": 1, "strength": 0.3}},
    "3": {
        "class_type": "EmptyImage",
        "inputs": {"width": 512, "height": 512, "batch_size": 1, "color": 16711680},
    },
    "4": {"class_type": "ImageAddNoise", "inputs": {"image": ["3", 0], "seed": 2, "strength": 0.3}},
    "5": {
        "class_type": "ImageBlur",
        "inputs": {"image": ["2", 0], "blur_radius": 31, "sigma": 9.0},
    },
    "6": {
        "class_type": "ImageBlend",
        "inputs": {
            "image1": ["5", 0],
            "image2": ["4", 0],
            "blend_factor": 0.5,
            "blend_mode": "overlay",
        },
    },
    "9": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "n"}},
}


@pytest.fixture(params=SERVERS)
async def url(request):
    if request.param == "COMFYUI_URL":
        yield REAL
        return
    async with ComfyUISimulator(mode=request.param, time_scale=1.0, job_seconds=0.3) as simulator:
        yield simulator.url


class Driver:
    """The adapter with its socket running, and a name nobody else has."""

    def __init__(self, url, name):
        self.server = ComfyUI(url=url, name=name, may_act=lambda: True)
        self.feeds = {}
        self._socket = asyncio.get_running_loop().create_task(self.server.socket.run())

    async def ready(self):
        await self.server.probe()
        await drain(lambda: self.server.socket_alive, what="an open socket")

    async def post(self, graph, prompt_id=None):
        prompt_id = prompt_id or str(uuid4())
        self.feeds[prompt_id] = PromptFeed()
        self.server.listen(prompt_id, self.feeds[prompt_id])
        await self.server.submit(prompt_id, graph, {"server": self.server.name})
        return prompt_id

    async def until(self, prompt_id, where, within=20.0):
        async def there():
            return (await self.server.look_up(prompt_id)).where is where

        await drain(there, within=timedelta(seconds=within), what=f"{prompt_id} {where}")

    async def end(self, prompt_id, within=60.0):
        await self.until(prompt_id, Where.ENDED, within)
        ending = await self.server.ending(prompt_id)
        assert ending is not None
        return ending

    async def close(self):
        await self.server.close()
        await self._socket


@pytest.fixture
async def driver(url):
    opened = Driver(url, f"contract-{uuid4().hex[:8]}")
    await opened.ready()
    yield opened
    for prompt_id in opened.feeds:
        await opened.server.delete(prompt_id)
        await opened.server.interrupt(prompt_id)
    await opened.close()


def noise(side=48, frames=2):
    """A graph that is in nobody's cache and takes a while: a simulator waits, a real one works.

    Of nodes that are older than the oldest release this suite is meant for.
    """
    graph = copy.deepcopy(NOISE)
    graph["2"]["inputs"]["seed"] = random.getrandbits(32)
    graph["4"]["inputs"]["seed"] = random.getrandbits(32)
    if not REAL:
        for node in ("1", "3"):
            graph[node]["inputs"] |= {"width": side, "height": side}
        graph["1"]["inputs"]["batch_size"] = frames
    return graph


async def edit(driver, body=None):
    name = await driver.server.upload(f"{uuid4()}-0.jpg", body or photo(), "image/jpeg")
    graph = copy.deepcopy(EDIT)
    graph["1"]["inputs"]["image"] = name
    graph["9"]["inputs"]["filename_prefix"] = f"jobs/{uuid4()}/out"
    return graph


async def test_a_server_says_its_version_and_its_nodes(driver):
    assert await driver.server.probe()
    assert await driver.server.missing_classes({"LoadImage", "NoSuchNode"}) == {"NoSuchNode"}


async def test_an_uploaded_photo_becomes_a_picture_that_can_be_fetched(driver):
    prompt_id = await driver.post(await edit(driver))
    ending = await driver.end(prompt_id)
    (file,) = result_files(ending.outputs, IMAGE)

    with Image.open(io.BytesIO(await driver.server.download(file))) as image:
        assert image.size == (128, 96)
    assert not ending.interrupted
    assert ending.failure is None
    assert ending.run_seconds >= 0


async def test_an_upload_under_a_known_name_replaces_it(driver):
    name = f"{uuid4()}-0.jpg"
    first = await driver.server.upload(name, photo(colour=(0, 0, 0)), "image/jpeg")
    second = await driver.server.upload(name, photo(colour=(255, 255, 255)), "image/jpeg")
    graph = await edit(driver)
    graph["1"]["inputs"]["image"] = second
    ending = await driver.end(await driver.post(graph))
    (file,) = result_files(ending.outputs, IMAGE)

    assert first == second == name
    with Image.open(io.BytesIO(await driver.server.download(file))) as image:
        assert max(image.convert("L").tobytes()) < 30


async def test_the_socket_tells_start_progress_and_end(driver):
    prompt_id = await driver.post(noise())
    feed = driver.feeds[prompt_id]
    await driver.end(prompt_id)
    await drain(lambda: feed.over, what="the end by the socket")

    assert feed.started_at is not None
    assert any(node.finished for node in feed.nodes.values())
    assert feed.node_seconds


async def test_a_prompt_is_seen_pending_running_and_ended(driver):
    running, pending = await driver.post(noise()), await driver.post(noise())
    await driver.until(running, Where.RUNNING)
    behind = (await driver.server.look_up(pending)).where
    notes = {item.prompt_id: item.note for item in (await driver.server.queue()).pending}
    await driver.end(running)
    await driver.end(pending)

    assert behind is Where.PENDING
    assert notes[pending] == {"server": driver.server.name}


async def test_an_unknown_prompt_is_lost(driver):
    assert (await driver.server.look_up(str(uuid4()))).where is Where.LOST


async def test_a_deleted_pending_prompt_leaves_no_trace(driver):
    running, pending = await driver.post(noise()), await driver.post(noise())
    await driver.until(running, Where.RUNNING)

    await driver.server.delete(pending)

    assert (await driver.server.queue()).where(pending) is Where.LOST
    assert (await driver.server.look_up(pending)).where is Where.LOST
    assert await driver.server.ending(pending) is None


async def test_deleting_a_running_prompt_does_nothing_and_interrupting_stops_it(driver):
    prompt_id = await driver.post(noise())
    await driver.until(prompt_id, Where.RUNNING)

    await driver.server.delete(prompt_id)
    assert (await driver.server.look_up(prompt_id)).where is Where.RUNNING
    await driver.server.interrupt(prompt_id)
    ending = await driver.end(prompt_id)

    assert ending.interrupted
    assert ending.failure is None


async def test_interrupting_another_prompt_leaves_the_running_one_alone(driver):
    prompt_id = await driver.post(noise())
    await driver.until(prompt_id, Where.RUNNING)

    await driver.server.interrupt(str(uuid4()))
    ending = await driver.end(prompt_id)

    assert not ending.interrupted


async def test_a_new_socket_of_the_same_name_hears_the_rest(driver, url):
    prompt_id = await driver.post(noise())
    await driver.until(prompt_id, Where.RUNNING)
    await driver.close()

    after = Driver(url, driver.server.name)
    feed = PromptFeed()
    after.server.listen(prompt_id, feed)
    try:
        await after.ready()
        await after.end(prompt_id)
        await drain(lambda: feed.over, what="the end, heard by the second socket")
    finally:
        driver.feeds.clear()
        driver.server = after.server
        driver._socket = after._socket


def without_node_class():
    graph = copy.deepcopy(NOISE)
    graph["5"]["class_type"] = "NodeOfAPackNobodyInstalled"
    return graph


def out_of_range():
    graph = copy.deepcopy(NOISE)
    graph["2"]["inputs"]["strength"] = 99.0
    return graph


def without_input_file():
    graph = copy.deepcopy(EDIT)
    graph["1"]["inputs"]["image"] = f"{uuid4()}.png"
    return graph


def half_broken():
    graph = noise()
    graph["7"] = {
        "class_type": "ImageBlur",
        "inputs": {"image": ["1", 0], "blur_radius": 999, "sigma": 1.0},
    }
    graph["8"] = {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "x"}}
    return graph


REFUSALS = [
    (without_node_class, Kind.MISSING_MODEL),
    (out_of_range, Kind.VALIDATION),
    (without_input_file, Kind.INPUT_REJECTED),
    (half_broken, Kind.PARTIAL_VALIDATION),
]


@pytest.mark.parametrize(("make", "kind"), REFUSALS, ids=lambda v: getattr(v, "__name__", str(v)))
async def test_a_refused_graph_says_why_and_does_not_stay(driver, make, kind):
    prompt_id = str(uuid4())

    with pytest.raises(AttemptFailedError) as raised:
        await driver.post(make(), prompt_id)

    assert raised.value.failure.kind is kind

    async def gone():
        where = (await driver.server.look_up(prompt_id)).where
        return where in {Where.LOST, Where.ENDED}

    await drain(gone, what="a refused prompt that is gone")


@pytest.mark.parametrize("body", [b"no picture at all", b"\x00" * 500], ids=["text", "zeros"])
async def test_a_file_that_is_no_picture_is_a_bad_input(driver, body):
    ending = await driver.end(await driver.post(await edit(driver, body)))

    assert ending.failure is not None
    assert ending.failure.kind is Kind.BAD_INPUT


async def test_a_forgotten_history_is_gone_and_its_file_stays(driver):
    prompt_id = await driver.post(await edit(driver))
    ending = await driver.end(prompt_id)
    (file,) = result_files(ending.outputs, IMAGE)

    await driver.server.forget(prompt_id)

    assert await driver.server.ending(prompt_id) is None
    assert await driver.server.download(file)


async def test_a_file_that_is_not_there_is_a_missing_output(driver):
    prompt_id = await driver.post(await edit(driver))
    (file,) = result_files((await driver.end(prompt_id)).outputs, IMAGE)

    with pytest.raises(AttemptFailedError) as raised:
        await driver.server.download(type(file)(kind="image", filename="no.png", subfolder="no"))

    assert raised.value.failure.kind is Kind.OUTPUT_MISSING


async def test_a_fresh_prefix_makes_the_same_graph_write_a_new_file(driver):
    graph = await edit(driver)
    again = copy.deepcopy(graph)
    again["9"]["inputs"]["filename_prefix"] = f"jobs/{uuid4()}/out"

    first = await driver.end(await driver.post(graph))
    second = await driver.end(await driver.post(again))

    assert result_files(first.outputs, IMAGE) != result_files(second.outputs, IMAGE)


async def test_memory_can_be_freed_at_any_time(driver):
    await driver.server.free_memory()
    ending = await driver.end(await driver.post(await edit(driver)))

    assert ending.failure is None
