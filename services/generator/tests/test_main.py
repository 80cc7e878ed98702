"""The process as it is started: wired from its settings, ready, at work, stopped."""

import aiohttp
import pytest

from chassis.errors import ConfigurationError
from contracts.generator import JobSucceeded
from devstack.errors import ChildDiedError
from devstack.testing import free_port, running_service
from generator.main import run
from generator.settings import Settings


async def test_the_process_becomes_ready_runs_a_job_and_stops(shop, comfyui, catalogue):
    settings = {"nats_url": shop.url, "comfyui_url": comfyui.url, "catalogue_dir": catalogue}

    async with running_service("generator", settings) as process:
        end = await shop.end_of(await shop.order("fast"))

    assert isinstance(end, JobSucceeded)
    assert process.returncode == 0


async def test_a_comfyui_that_is_away_is_told_and_holds_up_no_rollout(shop, catalogue):
    """Its server is somebody else's: the release is well; jobs wait or go to another server."""
    port = free_port()
    settings = {"nats_url": shop.url, "catalogue_dir": catalogue, "health_port": port}
    settings |= {"comfyui_url": f"http://127.0.0.1:{free_port()}"}

    async with running_service("generator", settings), aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            status, told = answer.status, await answer.json()
        async with session.get(f"http://127.0.0.1:{port}/readyz?all") as answer:
            with_notes = answer.status

    assert (status, with_notes) == (200, 503)
    assert (told["ok"], told["unwell"]) == (True, {})
    assert told["notes"]["comfyui"].startswith("ComfyUI: ")


@pytest.mark.parametrize("wrong", [{"pools": "image,vpn"}, {"pools": ""}, {"catalogue_dir": "/"}])
async def test_settings_that_cannot_work_stop_the_start(wrong):
    with pytest.raises(ConfigurationError):
        await run(Settings(**wrong))


async def test_a_process_with_such_settings_ends(nats_url):
    with pytest.raises(ChildDiedError, match="ended with 2"):
        async with running_service("generator", {"nats_url": nats_url, "pools": "vpn"}):
            pass
