"""One order from its job to its last event, over a real stream and a real socket."""

import asyncio
import io
from base64 import b64decode
from datetime import timedelta

from PIL import Image

from chassis.clock import new_id
from chassis.testing import drain
from contracts.generator import (
    JobCancelled,
    JobFailed,
    JobProgress,
    JobStarted,
    JobSucceeded,
    progress_subject,
)
from contracts.ids import derived_id
from generator.domain.claims import State
from generator.testing import (
    job_of,
    photo,
    quick_settings,
    running_generator,
    steps_graph,
    write_workflow,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_photo_goes_in_and_its_edit_comes_out(shop, comfyui, catalogue):
    order = await shop.order("edit", inputs=(await shop.put_photo(),))

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobSucceeded)
    result = await shop.objects.get(end.outputs[0].object_key)
    with Image.open(io.BytesIO(result)) as image:
        assert image.size == (96, 64)
        assert not image.info  # ComfyUI wrote the whole graph into the file's metadata
        red, green, blue = image.convert("RGB").getpixel((10, 10))
    assert red < 80 < green < blue


async def test_events_have_derived_ids_and_carry_the_orders_trace(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast", traceparent=TRACE)
        await shop.end_of(order)
        await shop.until_state(order, State.SUCCEEDED)

    told = await shop.told(order)
    assert {type(each.message) for each in told} == {JobStarted, JobSucceeded}
    assert {each.id for each in told} == {
        str(derived_id(order, 1, JobStarted.subject)),
        str(derived_id(order, 1, JobSucceeded.subject)),
    }
    assert all(each.traceparent.split("-")[1] == TRACE.split("-")[1] for each in told)


async def test_progress_moves_at_most_once_a_second_and_shows_a_small_picture(
    shop, comfyui, catalogue
):
    heard: list[tuple[float, JobProgress]] = []
    write_workflow(catalogue, "three", steps_graph(30, 0.1, preview=True))
    order = await shop.order("three")

    async def hear(message):
        moment = asyncio.get_running_loop().time()
        heard.append((moment, JobProgress.decode(message.body)))

    listening = await shop.broker.subscribe(progress_subject(7, order), hear)
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.end_of(order)
    await listening.stop()

    assert len(heard) >= 3
    [prompt] = comfyui.prompts()
    # By the server's clock: how far apart they arrive is the network's affair.
    assert len(heard) <= (prompt.ended_ms - prompt.started_ms) / 1000 + 2
    fractions = [message.fraction for _, message in heard]
    assert fractions == sorted(fractions)
    assert 0 < fractions[-1] < 1
    previews = [message.preview for _, message in heard if message.preview]
    assert previews
    assert all(len(preview) <= 30_000 for preview in previews)
    with Image.open(io.BytesIO(previews[0])) as image:
        assert image.format == "JPEG"


async def test_a_job_past_its_start_before_is_cancelled_unrun(shop, comfyui, catalogue):
    order = await shop.order("fast", start_within=timedelta(seconds=-1))

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobCancelled)
    assert end.reason == "start_before_passed"
    assert comfyui.prompts() == []


async def test_an_undecodable_job_fails_by_its_header(shop, comfyui, catalogue):
    order = new_id()
    await shop.queue(b"\xc1 not a job", order)

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)
        await shop.until_jobs_done()

    assert isinstance(end, JobFailed)
    assert (end.failure_class, end.user_id) == ("undecodable", 0)


async def test_a_job_that_names_no_order_goes_among_the_dead(shop, comfyui, catalogue):
    await shop.queue(b"\xc1 not a job", None)

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        await shop.until_jobs_done()

    ((subject, headers, body),) = await shop.stored("DEAD")
    assert (subject, body) == ("dead.generator", b"\xc1 not a job")
    assert headers["Vitrine-Reason"] == "no order id"


async def test_an_input_that_is_not_the_ordered_file_fails_as_bad_input(shop, comfyui, catalogue):
    ref = await shop.put_photo()
    await shop.objects.put(ref.object_key, photo(colour=(1, 2, 3)))
    order = await shop.order("edit", inputs=(ref,))

    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        end = await shop.end_of(order)

    assert isinstance(end, JobFailed)
    assert end.failure_class == "bad_input"
    assert comfyui.prompts() == []


async def test_the_same_order_queued_twice_runs_once(shop, comfyui, catalogue):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        await shop.until_state(order, State.SUCCEEDED)
        await shop.queue(job_of(order).encode(), order)
        await shop.until_jobs_done()

    assert len(comfyui.prompts()) == 1
    assert len(await shop.ends_of(order)) == 1


async def test_the_finished_record_stays_a_day_and_the_history_is_forgotten(
    shop, comfyui, catalogue
):
    async with running_generator(quick_settings(shop, comfyui.url, catalogue)):
        order = await shop.order("fast")
        record = await shop.until_state(order, State.SUCCEEDED)
        await drain(lambda: not comfyui.process.history.entries(), what="a forgotten history")

    ttl = await shop.broker.api("STREAM.MSG.GET.KV_jobs", {"last_by_subj": f"$KV.jobs.{order}"})

    assert b"Nats-TTL: 86400" in b64decode(ttl["message"]["hdrs"])
    assert record.job == b""
