"""A simulator of the wanted mode and a client on it."""

import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image as PillowImage

from simulators.comfyui.server import ComfyUISimulator
from simulators.comfyui.testing import Comfy


@pytest.fixture
def mode() -> str:
    return "0.25"


@pytest.fixture
async def simulator(mode: str) -> AsyncIterator[ComfyUISimulator]:
    async with ComfyUISimulator(mode=mode) as running:
        yield running


@pytest.fixture
async def comfy(simulator: ComfyUISimulator) -> AsyncIterator[Comfy]:
    async with Comfy(simulator.url) as client:
        yield client


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A small picture with something to see at every place."""
    across = np.linspace(0, 255, 96, dtype=np.uint8)
    picture = np.zeros((72, 96, 3), dtype=np.uint8)
    picture[..., 0] = across
    picture[..., 1] = across[:72, None]
    picture[16:48, 24:64, 2] = 255
    buffer = io.BytesIO()
    PillowImage.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
