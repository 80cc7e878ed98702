"""Fixtures of the generator's tests: a shop on a real nats-server, simulators, a catalogue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from generator.testing import Shop, open_shop, steps_graph, write_workflow
from simulators.comfyui.server import ComfyUISimulator

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
async def shop(nats_url: str) -> AsyncIterator[Shop]:
    async with open_shop(nats_url) as opened:
        yield opened


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Workflows of the simulator's test nodes: `edit` needs a photo.

    `fast`, `slow` (1.5 s), and `long`, which ends when a test sets the simulator's time to 0.
    """
    folder = tmp_path / "catalogue"
    write_workflow(folder, "fast", steps_graph(1, 0.02))
    write_workflow(folder, "slow", steps_graph(15, 0.1, preview=True), expected_seconds=1.5)
    write_workflow(folder, "long", steps_graph(600, 1.0), expected_seconds=600)
    write_workflow(folder, "clip", steps_graph(1, 0.02), pool="video")
    edit = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "input.png"}},
        "4": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "e"}},
    }
    write_workflow(folder, "edit", edit, inputs=True)
    return folder


@pytest.fixture
async def comfyui() -> AsyncIterator[ComfyUISimulator]:
    """The simulator with honest time for its test nodes."""
    async with ComfyUISimulator(mode="0.25", time_scale=1.0, job_seconds=0.05) as simulator:
        yield simulator
