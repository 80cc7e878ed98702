"""A cancel against every state an order can be in: exactly one answer, the right one."""

from chassis.testing import drain
from contracts.generator import JobCancelled, JobStarted, JobSucceeded
from generator.adapters.claims_kv import KvClaims
from generator.domain.claims import State, cancel_asked
from generator.testing import ahead_settings, quick_settings, running_generator


async def test_an_unclaimed_order_is_cancelled_at_once_and_never_runs(shop, comfyui, catalogue):
    settings = quick_settings(shop, comfyui.url, catalogue, pools="video")
    async with running_generator(settings):
        order = await shop.order("fast")
        await shop.cancel(order)
        end = await shop.end_of(order)
    assert await shop.jobs_left() == 1

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.until_jobs_done()

    assert isinstance(end, JobCancelled)
    assert end.reason == "cancelled_by_user"
    assert comfyui.prompts() == []
    assert len(await shop.ends_of(order)) == 1


async def test_a_repeated_cancel_is_answered_under_the_same_id(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue, pools="video")):
        order = await shop.order("fast")
        await shop.cancel(order)
        await shop.end_of(order)
        await shop.cancel(order)
        await drain(
            lambda: _commands_done(shop),
            what="both commands acknowledged",
        )

    assert len(await shop.ends_of(order)) == 1


async def _commands_done(shop):
    info = await shop.broker.api("STREAM.INFO.GENERATOR")
    return info["state"]["messages"] == 0


async def test_a_running_order_is_interrupted_and_cancelled(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("long")
        await shop.until_state(order, State.RUNNING)
        await shop.cancel(order)
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobCancelled)
    assert [prompt.outcome for prompt in comfyui.prompts()] == ["interrupted"]
    assert len(await shop.ends_of(order)) == 1


async def test_an_order_waiting_ahead_is_deleted_and_the_running_one_goes_on(
    shop, comfyui, catalogue
):
    async with running_generator(ahead_settings(shop, comfyui.url, catalogue)):
        running = await shop.order("long")
        await shop.until_state(running, State.RUNNING)
        ahead = await shop.order("slow")
        await drain(lambda: len(comfyui.prompts()) == 2, what="the job ahead posted")
        await shop.cancel(ahead)
        end = await shop.end_of(ahead)
        comfyui.settings.time_scale = 0
        first = await shop.end_of(running)

    assert isinstance(end, JobCancelled)
    assert isinstance(first, JobSucceeded)
    assert not any(isinstance(each.message, JobStarted) for each in await shop.told(ahead))


async def test_a_cancel_that_follows_the_claim_at_once_is_heard(
    shop, comfyui, catalogue, monkeypatch
):
    create = KvClaims.create

    async def create_and_be_overtaken(claims, order_id, record):
        revision = await create(claims, order_id, record)
        await claims.write(order_id, cancel_asked(record, "cancelled_by_user"), revision)
        return revision

    monkeypatch.setattr(KvClaims, "create", create_and_be_overtaken)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("slow")
        end = await shop.end_of(order)

    assert isinstance(end, JobCancelled)


async def test_a_success_that_wins_the_race_is_not_cancelled(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        await shop.until_state(order, State.SUCCEEDED)
        await shop.cancel(order)
        await drain(lambda: _commands_done(shop), what="the command acknowledged")

    (end,) = await shop.ends_of(order)
    assert isinstance(end.message, JobSucceeded)


async def test_a_malformed_cancel_harms_nobody(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.broker.publish("generator.cmd.cancel_job.v1", b"\xc1", {"Nats-Msg-Id": "x"})
        await shop.broker.publish("generator.cmd.dance.v1", b"", {"Nats-Msg-Id": "y"})
        await drain(lambda: _commands_done(shop), what="both parked")
        order = await shop.order("fast")
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)
    assert {subject for subject, _, _ in await shop.stored("DEAD")} == {"dead.generator"}
