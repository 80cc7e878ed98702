"""The workflows that ship, each from a photo to a stored result."""

import io
from pathlib import Path

import av
import pytest
from PIL import Image

from contracts import catalogue as catalogues
from contracts.generator import JobSucceeded
from generator.settings import REPOSITORY_CATALOGUE
from generator.testing import photo, quick_settings, running_generator
from simulators.comfyui.server import ComfyUISimulator

MODES = ["0.3.64", "0.25", "0.38"]


def test_the_default_catalogue_is_the_repositorys():
    assert Path(__file__).resolve().parents[4] / "catalogue" == REPOSITORY_CATALOGUE


@pytest.mark.parametrize("mode", MODES)
async def test_every_default_workflow_gives_what_it_promises(shop, mode):
    workflows = catalogues.load(REPOSITORY_CATALOGUE)
    async with ComfyUISimulator(mode=mode, job_seconds=0.0) as comfyui:
        settings = quick_settings(shop, comfyui.url, REPOSITORY_CATALOGUE)
        async with running_generator(settings):
            source = photo(320, 240)
            orders = {
                workflow.id: await shop.order(
                    workflow.id,
                    pool=workflow.pool,
                    inputs=tuple(
                        [await shop.put_photo(each.name, source) for each in workflow.inputs]
                    ),
                )
                for workflow in workflows.values()
            }
            ends = {each: await shop.end_of(order, 40) for each, order in orders.items()}

    for workflow, end in ends.items():
        assert isinstance(end, JobSucceeded), workflow
        for output in end.outputs:
            body = await shop.objects.get(output.object_key)
            assert len(body) == output.size_bytes
            if output.mime.startswith("video/"):
                with av.open(io.BytesIO(body)) as video:
                    assert sum(1 for _ in video.decode(video=0)) > 1
                assert output.duration_seconds > 0
            else:
                with Image.open(io.BytesIO(body)) as image:
                    assert image.size == (output.width, output.height)
