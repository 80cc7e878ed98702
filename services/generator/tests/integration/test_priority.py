"""Who is next: priority before regular, idle before busy, pools in turn."""

import asyncio
from datetime import timedelta

from chassis.testing import drain
from contracts.billing import LANE_PRIORITY
from contracts.generator import JobSucceeded
from generator.domain.claims import State
from generator.testing import (
    ahead_settings,
    pulls_waiting,
    quick_settings,
    running_generator,
    steps_graph,
    write_workflow,
)
from simulators.comfyui.server import ComfyUISimulator


def started_orders(simulator):
    begun = [prompt for prompt in simulator.prompts() if prompt.started_ms is not None]
    begun.sort(key=lambda prompt: prompt.started_ms)
    return [prompt.extra_data["vitrine"]["order_id"] for prompt in begun]


async def test_a_priority_job_starts_next_though_twenty_wait_and_one_is_ahead(
    shop, comfyui, catalogue
):
    regular = [await shop.order(name) for name in ("long", *["fast"] * 21)]
    async with running_generator(ahead_settings(shop, comfyui.url, catalogue)):
        await drain(lambda: len(comfyui.prompts()) == 2, what="one ahead")
        black_gold = await shop.order("fast", lane=LANE_PRIORITY)
        await drain(lambda: len(comfyui.prompts()) == 3, what="the priority job posted")
        comfyui.settings.time_scale = 0
        end = await shop.end_of(black_gold)
        given_back = await shop.record(regular[1])

    assert isinstance(end, JobSucceeded)
    assert started_orders(comfyui)[:2] == [str(regular[0]), str(black_gold)]
    outcomes = [prompt.outcome for prompt in comfyui.prompts()[:3]]
    assert outcomes == ["success", "deleted", "success"]
    assert given_back is not None
    assert given_back.failures == ()


async def test_an_idle_server_gets_every_job_while_the_other_is_busy(shop, comfyui, catalogue):
    always_late = timedelta(hours=1)
    async with ComfyUISimulator(time_scale=1.0) as idle:
        busy_settings = quick_settings(shop, comfyui.url, catalogue, late_window=always_late)
        async with running_generator(busy_settings):
            occupying = await shop.order("long")
            await shop.until_state(occupying, State.RUNNING)
            await drain(lambda: pulls_waiting(shop, 4), what="the busy server's pulls")
            async with running_generator(quick_settings(shop, idle.url, catalogue)):
                await drain(lambda: pulls_waiting(shop, 8), what="the idle server's pulls")
                for _ in range(20):
                    order = await shop.order("fast")
                    assert isinstance(await shop.end_of(order), JobSucceeded)
            await shop.cancel(occupying)
            await shop.end_of(occupying)

        assert len(idle.prompts()) == 20
    assert len(comfyui.prompts()) == 1


async def test_a_busy_server_claims_nothing_before_its_late_window(shop, comfyui, catalogue):
    write_workflow(catalogue, "two", steps_graph(20, 0.1), expected_seconds=2.0)
    settings = quick_settings(shop, comfyui.url, catalogue, late_window=timedelta(seconds=0.7))
    async with running_generator(settings):
        running = await shop.order("two")
        waiting = await shop.order("fast")
        await shop.until_state(running, State.RUNNING)
        await drain(lambda: comfyui.prompts()[0].started_ms is not None, what="a start")
        await drain(lambda: len(comfyui.prompts()) == 2, what="the second post")
        await shop.end_of(waiting)

    first, second = comfyui.prompts()
    lasted = first.ended_ms - first.started_ms
    before_end = first.ended_ms - second.posted_at_ms
    # Shares of what the job really took: a busy machine stretches both alike.
    assert before_end < 0.6 * lasted


async def test_a_job_ahead_too_long_is_given_back_and_nothing_is_claimed_meanwhile(
    shop, comfyui, catalogue
):
    write_workflow(catalogue, "liar", steps_graph(600, 1.0), expected_seconds=0.2)
    settings = quick_settings(shop, comfyui.url, catalogue, ahead_patience=timedelta(seconds=0.4))
    async with running_generator(settings):
        running = await shop.order("liar")
        await shop.until_state(running, State.RUNNING)
        ahead = await shop.order("fast")
        free = await shop.until_state(ahead, State.FREE)
        await asyncio.sleep(0.6)  # long enough for a second claim, were it allowed
        still_free = await shop.record(ahead)
        comfyui.settings.time_scale = 0
        ends = [await shop.end_of(order) for order in (running, ahead)]

    assert free.failures == ()
    assert still_free is not None
    assert still_free.state == State.FREE
    assert all(isinstance(end, JobSucceeded) for end in ends)


async def test_pools_of_a_lane_take_turns(shop, comfyui, catalogue):
    images = [await shop.order("fast") for _ in range(4)]
    clips = [await shop.order("clip", pool="video") for _ in range(4)]

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.until_jobs_done()

    names = dict.fromkeys(map(str, images), "image") | dict.fromkeys(map(str, clips), "video")
    order = [names[order_id] for order_id in started_orders(comfyui)]
    assert order == ["image", "video"] * 4


async def test_a_pool_whose_nodes_are_missing_is_not_served(shop, comfyui, catalogue):
    graph = steps_graph(1, 0.01)
    graph["2"]["class_type"] = "NodeOfAPackNobodyInstalled"
    write_workflow(catalogue, "exotic", graph, pool="video")

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)) as generator:
        unserved = await shop.order("clip", pool="video")
        served = await shop.order("fast")
        end = await shop.end_of(served)
        ready = await generator.idle_reason()

    assert isinstance(end, JobSucceeded)
    assert await shop.record(unserved) is None
    assert ready is None
