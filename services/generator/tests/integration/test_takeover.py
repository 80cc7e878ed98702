"""Who may run an order: pods that die, pods that share a server, servers that share a queue."""

from datetime import timedelta

import msgspec
import pytest

from chassis.testing import drain
from contracts.generator import JobStarted, JobSucceeded
from devstack.testing import private_nats
from generator.domain.claims import State
from generator.testing import (
    GeneratorProcess,
    ahead_settings,
    job_of,
    open_shop,
    quick_settings,
    running_generator,
)
from simulators.comfyui.server import ComfyUISimulator


@pytest.fixture
def process(shop, comfyui, catalogue):
    grace = timedelta(minutes=1)
    settings = ahead_settings(shop, comfyui.url, catalogue, shutdown_grace=grace)
    started = GeneratorProcess(settings)
    yield started
    started.close()


async def test_a_killed_pod_is_followed_by_one_that_goes_on(shop, comfyui, process):
    process.start()
    running = await shop.order("long")
    await drain(lambda: _started(shop, running), what="the start told")
    ahead = await shop.order("slow")
    await drain(lambda: len(comfyui.prompts()) == 2, what="the job ahead posted")

    process.kill()
    process.start()
    await shop.until_epoch(running, 2)
    comfyui.settings.time_scale = 0
    ends = [await shop.end_of(order) for order in (running, ahead)]
    await shop.until_jobs_done()

    assert all(isinstance(end, JobSucceeded) for end in ends)
    assert [prompt.outcome for prompt in comfyui.prompts()] == ["success", "success"]
    assert [len(await shop.ends_of(order)) for order in (running, ahead)] == [1, 1]
    assert len(await _started(shop, running)) == 1


async def _started(shop, order):
    return [each for each in await shop.told(order) if isinstance(each.message, JobStarted)]


async def leave_running(shop, comfyui, catalogue):
    """A pod that ends without any grace: its job goes on in ComfyUI, its record stays."""
    hurried = quick_settings(shop, comfyui.url, catalogue, shutdown_grace=timedelta(seconds=3))
    async with running_generator(hurried):
        order = await shop.order("long")
        await shop.until_state(order, State.RUNNING)
    assert comfyui.prompts()[0].outcome == "running"
    return order


async def test_a_job_too_long_for_the_grace_is_left_to_the_next_pod(shop, comfyui, catalogue):
    order = await leave_running(shop, comfyui, catalogue)

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.until_epoch(order, 2)
        comfyui.settings.time_scale = 0
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)
    assert end.epoch == 2
    assert len(comfyui.prompts()) == 1


async def test_a_prompt_that_ended_while_nobody_looked_is_collected(shop, comfyui, catalogue):
    order = await leave_running(shop, comfyui, catalogue)
    comfyui.settings.time_scale = 0
    await drain(lambda: comfyui.prompts()[0].outcome == "success", what="the prompt's end")

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)
    assert len(comfyui.prompts()) == 1


async def test_a_silent_server_loses_its_job_and_does_not_answer_later(shop, comfyui, catalogue):
    order = await leave_running(shop, comfyui, catalogue)

    async with ComfyUISimulator(time_scale=1.0) as second:
        silence = timedelta(seconds=2)
        other = quick_settings(shop, second.url, catalogue, claim_silence=silence)
        async with running_generator(other):
            taken = await shop.until_epoch(order, 2)
            async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
                await drain(
                    lambda: comfyui.prompts()[0].outcome == "interrupted", what="no stray prompt"
                )
            await shop.cancel(order)
            await shop.end_of(order)

    assert taken.failures == ("silent_owner",)
    assert len(await shop.ends_of(order)) == 1


async def test_a_server_leaves_an_order_to_the_one_that_renews_it(shop, comfyui, catalogue):
    async with ComfyUISimulator(time_scale=1.0) as second:
        async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
            order = await shop.order("long")
            await shop.until_state(order, State.RUNNING)
            async with running_generator(quick_settings(shop, second.url, catalogue)):
                await shop.queue(job_of(order, "long").encode(), order)
                await drain(lambda: _all_delivered(shop), what="the second delivery")
                comfyui.settings.time_scale = 0
                end = await shop.end_of(order)
                await shop.until_jobs_done()

        assert isinstance(end, JobSucceeded)
        assert second.prompts() == []
    assert len(comfyui.prompts()) == 1


async def _all_delivered(shop):
    return (await shop.broker.consumer_info("JOBS", "image-regular")).num_pending == 0


async def test_of_two_pods_of_one_server_only_the_holder_posts(shop, comfyui, catalogue):
    settings = quick_settings(shop, comfyui.url, catalogue)
    async with running_generator(settings) as first:
        await drain(shop.held_leases, what="a held lease")
        async with running_generator(settings) as second:
            orders = [await shop.order("fast") for _ in range(6)]
            for order in orders:
                await shop.end_of(order)
            ready = [await pod.idle_reason() for pod in (first, second)]

    assert ready[0] is None
    assert ready[1] is not None
    assert len(comfyui.prompts()) == 6
    assert len({prompt.client_id for prompt in comfyui.prompts()}) == 1


async def test_sigterm_gives_back_what_waits_and_finishes_what_runs(
    shop, comfyui, process, catalogue
):
    process.start()
    running = await shop.order("long")
    await shop.until_state(running, State.RUNNING)
    ahead = await shop.order("slow")
    await drain(lambda: len(comfyui.prompts()) == 2, what="the job ahead posted")

    process.terminate()
    free = await shop.until_state(ahead, State.FREE)
    comfyui.settings.time_scale = 0
    end = await shop.end_of(running)
    code = await process.until_exited()

    assert code == 0
    assert isinstance(end, JobSucceeded)
    assert free.failures == ()
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        assert isinstance(await shop.end_of(ahead), JobSucceeded)


async def _lease_lost(pod) -> bool:
    return "lease" in (await pod.idle_reason() or "")


async def test_a_nats_server_killed_mid_job_costs_no_second_run(comfyui, catalogue):
    async with private_nats() as server, open_shop(server.url) as shop:
        async with running_generator(quick_settings(shop, comfyui.url, catalogue)) as pod:
            order = await shop.order("long")
            await shop.until_state(order, State.RUNNING)
            await server.kill()
            await drain(lambda: _lease_lost(pod), what="the lease's end")
            comfyui.settings.time_scale = 0
            await server.start()
            end = await shop.end_of(order)

        assert isinstance(end, JobSucceeded)
        assert len(comfyui.prompts()) == 1
        assert len(await shop.ends_of(order)) == 1


async def test_an_order_that_kills_its_pods_ends_as_poison(shop, comfyui, catalogue):
    order = await leave_running(shop, comfyui, catalogue)
    stored = await shop.claims.read(order)
    often = msgspec.structs.replace(stored.record, adoptions=5)
    await shop.claims.write(order, often, stored.revision)

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)

    assert end.failure_class == "poison"
