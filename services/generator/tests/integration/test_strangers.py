"""Servers shared with others, workflows nobody serves, platforms not yet there."""

from datetime import timedelta

import aiohttp

from chassis.testing import drain
from contracts.generator import JobSucceeded
from generator.domain.claims import State
from generator.testing import (
    open_shop,
    quick_settings,
    running_generator,
    steps_graph,
)


async def test_a_job_behind_somebody_elses_prompt_goes_back_until_the_server_is_free(
    shop, comfyui, catalogue
):
    async with aiohttp.ClientSession() as session:
        await session.post(f"{comfyui.url}/prompt", json={"prompt": steps_graph(600, 1.0)})
    patience = timedelta(seconds=0.5)
    settings = quick_settings(shop, comfyui.url, catalogue, ahead_patience=patience)
    async with running_generator(settings):
        order = await shop.order("fast")
        free = await shop.until_state(order, State.FREE)
        foreign = comfyui.prompts()[0].outcome
        comfyui.settings.time_scale = 0
        end = await shop.end_of(order)

    assert free.failures == ()
    assert foreign == "running"
    assert isinstance(end, JobSucceeded)
    assert [prompt.outcome for prompt in comfyui.prompts()] == ["success", "deleted", "success"]


async def test_an_unknown_workflow_is_left_to_servers_that_know_it(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("of_tomorrow")
        free = await shop.until_state(order, State.FREE)
        end = await shop.end_of(await shop.order("fast"))

    assert free.failures == ()
    assert isinstance(end, JobSucceeded)
    assert await shop.ends_of(order) == []


async def test_a_generator_waits_for_streams_that_come_later(nats_url, comfyui, catalogue):
    async with open_shop(nats_url, prepared=False) as shop:
        async with running_generator(quick_settings(shop, comfyui.url, catalogue)) as generator:
            assert await generator.idle_reason() is not None
            await shop.prepare()
            await drain(generator.claiming, what="a generator that found its streams")
            end = await shop.end_of(await shop.order("fast"))

    assert isinstance(end, JobSucceeded)
