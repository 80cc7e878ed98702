"""The process as it is started: wired from its settings, ready, at work, stopped."""

import pytest

from chassis.errors import ConfigurationError
from contracts.generator import JobSucceeded
from devstack.errors import ChildDiedError
from devstack.testing import running_service
from generator.main import run
from generator.settings import Settings


async def test_the_process_becomes_ready_runs_a_job_and_stops(shop, comfyui, catalogue):
    settings = {"nats_url": shop.url, "comfyui_url": comfyui.url, "catalogue_dir": catalogue}

    async with running_service("generator", settings) as process:
        end = await shop.end_of(await shop.order("fast"))

    assert isinstance(end, JobSucceeded)
    assert process.returncode == 0


@pytest.mark.parametrize("wrong", [{"pools": "image,vpn"}, {"pools": ""}, {"catalogue_dir": "/"}])
async def test_settings_that_cannot_work_stop_the_start(wrong):
    with pytest.raises(ConfigurationError):
        await run(Settings(**wrong))


async def test_a_process_with_such_settings_ends(nats_url):
    with pytest.raises(ChildDiedError, match="ended with 2"):
        async with running_service("generator", {"nats_url": nats_url, "pools": "vpn"}):
            pass
