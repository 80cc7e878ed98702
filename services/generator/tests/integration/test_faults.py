"""Every failure class of ComfyUI, ordered from the simulator: what becomes of the order."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from chassis.testing import drain
from contracts.generator import JobFailed, JobSucceeded
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


@asynccontextmanager
async def two_servers(shop, comfyui, catalogue):
    """The second server is there for what the first one fails; both wait for jobs."""
    hasty = {
        "request_timeout": timedelta(seconds=1),
        "unreachable_patience": timedelta(seconds=1.5),
    }
    async with ComfyUISimulator(time_scale=1.0) as second:
        settings = quick_settings(shop, comfyui.url, catalogue, **hasty)
        async with running_generator(settings) as first:
            await drain(lambda: pulls_waiting(shop, 4), what="the first server's pulls")
            async with running_generator(quick_settings(shop, second.url, catalogue)):
                await drain(lambda: pulls_waiting(shop, 8), what="the second server's pulls")
                yield first, second


def outcomes(simulator):
    return [prompt.outcome for prompt in simulator.prompts()]


HEALED_HERE = [
    ("oom", {}, ["error", "success"]),
    ("error", {"type": "ValueError"}, ["error", "success"]),
    ("lost", {}, ["lost", "success"]),
    ("prompt_500_queued", {}, ["success"]),
    ("prompt_500_not_queued", {}, ["success"]),
    ("history_delay", {"seconds": 0.7}, ["success"]),
    ("ws_close", {}, ["success"]),
    ("view_404", {}, ["success", "success"]),
    ("view_truncated", {}, ["success"]),
    ("slow_view", {"seconds": 0.5}, ["success"]),
    ("restart", {"down_seconds": 0.5}, ["lost", "success"]),
    ("hang", {"seconds": 0.6}, ["success"]),
]


@pytest.mark.parametrize(("kind", "options", "expected"), HEALED_HERE, ids=lambda v: str(v)[:24])
async def test_a_fault_that_passes_costs_no_order(
    shop, comfyui, catalogue, kind, options, expected
):
    comfyui.inject(kind, **options)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobSucceeded)
    assert outcomes(comfyui) == expected
    assert len(await shop.ends_of(order)) == 1


async def test_memory_is_freed_before_an_out_of_memory_job_is_tried_again(shop, comfyui, catalogue):
    comfyui.inject("oom")
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        await shop.end_of(order)
        calls = list(comfyui.process.free_calls)

    assert calls == [{"unload_models": True, "free_memory": True}]


ENDED = [
    ("error", {"type": "ValueError"}, "node_error", 2),
    ("oom", {}, "out_of_memory", 3),
    ("lost", {}, "poison", 3),
    ("view_404", {}, "output_missing", 3),
]


@pytest.mark.parametrize(
    ("kind", "options", "failure_class", "tries"), ENDED, ids=lambda v: str(v)[:20]
)
async def test_a_fault_that_stays_ends_the_order(
    shop, comfyui, catalogue, kind, options, failure_class, tries
):
    comfyui.inject(kind, times=-1, **options)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobFailed)
    assert end.failure_class == failure_class
    assert len(comfyui.prompts()) == tries


async def test_a_job_that_kills_its_server_three_times_is_poison(shop, comfyui, catalogue):
    comfyui.inject("restart", times=3, down_seconds=0.2)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        end = await shop.end_of(order)
        healthy = await shop.order("fast")
        after = await shop.end_of(healthy)

    assert isinstance(end, JobFailed)
    assert end.failure_class == "poison"
    assert isinstance(after, JobSucceeded)


@pytest.mark.parametrize("kind", ["cuda_sticky", "disk_full"])
async def test_a_broken_server_gets_no_job_until_it_is_restarted(shop, comfyui, catalogue, kind):
    comfyui.inject(kind)
    quarantined = quick_settings(shop, comfyui.url, catalogue, quarantine=timedelta(minutes=5))
    async with running_generator(quarantined) as first:
        order = await shop.order("fast")
        await shop.until_state(order, State.FREE)
        reason = await first.idle_reason()
        async with ComfyUISimulator(time_scale=1.0) as second:
            async with running_generator(quick_settings(shop, second.url, catalogue)):
                end = await shop.end_of(order)
        await comfyui.restart()
        await drain(first.claiming, what="a server that is well after its restart")
        again = await shop.end_of(await shop.order("fast"))

    assert isinstance(end, JobSucceeded)
    assert reason is not None
    assert isinstance(again, JobSucceeded)


async def test_a_hung_server_loses_its_job_to_another(shop, comfyui, catalogue):
    async with two_servers(shop, comfyui, catalogue) as (first, second):
        comfyui.inject("hang", seconds=30.0)
        second.inject("hang", seconds=0.5)
        orders = [await shop.order("fast") for _ in range(2)]
        ends = [await shop.end_of(order) for order in orders]
        reason = await first.idle_reason()

    assert all(isinstance(end, JobSucceeded) for end in ends)
    assert reason is not None


async def test_a_dead_worker_is_noticed_by_the_deadline(shop, comfyui, catalogue):
    comfyui.inject("worker_death")
    hasty = quick_settings(shop, comfyui.url, catalogue, interrupt_patience=timedelta(seconds=1))
    async with running_generator(hasty) as first:
        order = await shop.order("fast", deadline_seconds=0.5)
        free = await shop.until_state(order, State.FREE)
        reason = await first.idle_reason()
        async with ComfyUISimulator(time_scale=1.0) as second:
            async with running_generator(quick_settings(shop, second.url, catalogue)):
                end = await shop.end_of(order)

    assert free.failures == ("hung",)
    assert reason is not None
    assert isinstance(end, JobSucceeded)


async def test_a_queue_that_does_not_move_is_noticed_and_the_job_is_not_blamed(
    shop, comfyui, catalogue
):
    async with aiohttp.ClientSession() as session:
        for steps in (40, 1):
            await session.post(f"{comfyui.url}/prompt", json={"prompt": steps_graph(steps, 0.1)})
        same = {
            "prompt": steps_graph(1, 0.01),
            "prompt_id": "5a0cf2c6-1111-4222-8333-444455556666",
            "number": 5,
        }

        async def dead() -> bool:
            """The worker's thread dies when it has to compare two that are alike."""
            for _ in range(2 if comfyui.process.worker_alive else 0):
                await session.post(f"{comfyui.url}/prompt", json=same)
            return not comfyui.process.worker_alive

        await drain(dead, what="a dead worker")
    hasty = quick_settings(shop, comfyui.url, catalogue, zombie_patience=timedelta(seconds=1))
    async with running_generator(hasty) as first:
        order = await shop.order("fast")
        free = await shop.until_state(order, State.FREE)
        reason = await first.idle_reason()

    assert free.failures == ()
    assert reason == "ComfyUI: zombie"


async def test_the_job_ahead_is_not_blamed_for_a_server_that_dies(shop, comfyui, catalogue):
    async with running_generator(ahead_settings(shop, comfyui.url, catalogue)):
        running = await shop.order("long")
        await shop.until_state(running, State.RUNNING)
        ahead = await shop.order("fast")
        await drain(lambda: len(comfyui.prompts()) == 2, what="one ahead")
        await comfyui.kill()
        blamed = await shop.until_state(running, State.FREE)
        innocent = await shop.until_state(ahead, State.FREE)
        comfyui.settings.time_scale = 0
        await comfyui.restart()
        ends = [await shop.end_of(order) for order in (running, ahead)]

    assert blamed.failures == ("server_died",)
    assert innocent.failures == ()
    assert all(isinstance(end, JobSucceeded) for end in ends)


async def test_a_deadline_interrupts_and_a_second_one_ends_the_order(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("long", deadline_seconds=0.4)
        end = await shop.end_of(order)

    assert isinstance(end, JobFailed)
    assert end.failure_class == "timeout"
    assert outcomes(comfyui) == ["interrupted", "interrupted"]


async def test_somebody_elses_interrupt_costs_one_more_try(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("long")
        await shop.until_state(order, State.RUNNING)
        async with aiohttp.ClientSession() as session:
            await session.post(f"{comfyui.url}/interrupt")
        comfyui.settings.time_scale = 0
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)
    assert outcomes(comfyui) == ["interrupted", "success"]


async def test_a_silent_socket_costs_only_time(shop, comfyui, catalogue):
    comfyui.inject("ws_silent")
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        first = await shop.end_of(await shop.order("fast"))
        second = await shop.end_of(await shop.order("fast"))

    assert isinstance(first, JobSucceeded)
    assert isinstance(second, JobSucceeded)
    assert len(comfyui.prompts()) == 2


async def test_a_socket_the_server_forgot_is_replaced(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.end_of(await shop.order("fast"))
        client = comfyui.prompts()[0].client_id
        async with aiohttp.ClientSession() as session:
            other = await session.ws_connect(f"{comfyui.url}/ws", params={"clientId": client})
            await other.close()
        order = await shop.order("slow")
        end = await shop.end_of(order)
        await drain(
            lambda: comfyui.process.sockets.current(client) is not None, what="a new socket"
        )

    assert isinstance(end, JobSucceeded)


async def test_a_server_that_starts_late_is_waited_for(shop, catalogue):
    order = await shop.order("fast")
    async with ComfyUISimulator(time_scale=1.0, startup_delay_seconds=1.0) as late:
        async with running_generator(quick_settings(shop, late.url, catalogue)) as generator:
            early = await generator.idle_reason()
            end = await shop.end_of(order)

    assert early is not None
    assert isinstance(end, JobSucceeded)


async def test_an_idle_server_that_dies_claims_nothing(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)) as generator:
        await drain(generator.claiming, what="a well server")
        well = generator.sick()
        await comfyui.kill()
        await drain(lambda: _unready(generator), what="a noticed death")
        sick = generator.sick()
        order = await shop.order("fast")
        await asyncio.sleep(0.5)  # time enough for a claim, were there one
        untouched = await shop.record(order)
        await comfyui.restart()
        end = await shop.end_of(order)

    assert (well, sick) == (False, True)
    assert untouched is None
    assert isinstance(end, JobSucceeded)


async def _unready(generator):
    return await generator.idle_reason() is not None


async def test_only_our_own_prompts_are_touched(shop, comfyui, catalogue):
    graph = steps_graph(600, 1.0)
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            await session.post(f"{comfyui.url}/prompt", json={"prompt": graph})
            graph["2"]["inputs"]["seed"] += 1
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        await drain(lambda: len(comfyui.prompts()) == 3, what="our prompt")
        await shop.cancel(order)
        await shop.end_of(order)

    assert outcomes(comfyui) == ["running", "pending", "deleted"]


def bad_workflows():
    blur = {"image": ["1", 0], "blur_radius": 9999, "sigma": 2.0}
    out_of_range = steps_graph(1, 0.01)
    out_of_range["2"] = {"class_type": "ImageBlur", "inputs": blur}
    half_broken = steps_graph(1, 0.01)
    half_broken["3"] = {"class_type": "ImageBlur", "inputs": blur}
    half_broken["8"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "other"},
    }
    no_input = steps_graph(1, 0.01)
    no_input["1"] = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}
    return {
        "out_of_range": (out_of_range, "workflow_invalid"),
        "half_broken": (half_broken, "workflow_invalid"),
        "no_input": (no_input, "bad_input"),
    }


@pytest.mark.parametrize("name", ["out_of_range", "half_broken", "no_input"])
async def test_a_graph_the_server_refuses_ends_the_order(shop, comfyui, catalogue, name):
    graph, failure_class = bad_workflows()[name]
    write_workflow(catalogue, name, graph)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(await shop.order(name))

    assert isinstance(end, JobFailed)
    assert end.failure_class == failure_class
    assert "success" not in outcomes(comfyui)


async def test_a_missing_model_takes_the_pool_out_and_leaves_the_job_to_others(
    shop, comfyui, catalogue
):
    graph = steps_graph(1, 0.01)
    model = {"image": ["1", 0], "ckpt_name": "sd_xl_base_1.0.safetensors"}
    graph["2"] = {"class_type": "GenTestNeedsModel", "inputs": model}
    write_workflow(catalogue, "model", graph, pool="video")
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("model", pool="video")
        free = await shop.until_state(order, State.FREE)
        end = await shop.end_of(await shop.order("fast"))
        left = await shop.record(order)

    assert free.failures == ("missing_model",)
    assert left == free
    assert isinstance(end, JobSucceeded)


async def test_an_input_lost_by_the_server_is_uploaded_once_more(shop, comfyui, catalogue):
    comfyui.inject("error", type="av.error.FileNotFoundError", message="gone")
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(await shop.order("edit", inputs=(await shop.put_photo(),)))

    assert isinstance(end, JobSucceeded)
    assert outcomes(comfyui) == ["error", "success"]


async def test_faults_at_random_never_answer_an_order_twice(shop, comfyui, catalogue):
    kinds = itertools.cycle(["error", "lost", "ws_close", "history_delay", "prompt_500_queued"])
    for kind in itertools.islice(kinds, 6):
        comfyui.inject(kind, seconds=0.1)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        orders = [await shop.order("fast") for _ in range(12)]
        for order in orders:
            await shop.end_of(order)
        await shop.until_jobs_done()

    assert all([len(await shop.ends_of(order)) == 1 for order in orders])
