"""A job, a cancel or a record that nobody vouches for is not run, not obeyed and not told."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chassis import signing_keys
from chassis.clock import new_id
from chassis.key_value import KeyValue
from chassis.signatures import OFF, Signatures
from chassis.testing import drain, signatures_of
from contracts import generator as messages
from contracts.envelope import HEADER_SIGNATURE, Headers
from contracts.generator import JobSucceeded, job_subject
from contracts.ids import NOBODY, MessageId, OrderId
from contracts.producers import PARTIES
from generator.domain import outcomes
from generator.domain.claims import JobRecord, State, job_key
from generator.settings import Settings
from generator.testing import Shop, job_of, quick_settings, running_generator


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    signing_keys.ensure(tmp_path / "keys", PARTIES)
    return tmp_path / "keys"


@pytest.fixture
def signed(shop: Shop, comfyui, catalogue: Path, keys: Path) -> Settings:
    """A generator that requires signatures."""
    return quick_settings(
        shop,
        comfyui.url,
        catalogue,
        signatures="require",
        signing_key_file=str(signing_keys.private_file(keys, "generator")),
        verify_keys_dir=str(signing_keys.verify_folder(keys)),
    )


@pytest.fixture
def speak(shop: Shop, keys: Path) -> Callable[[str], None]:
    """Let the shop speak as somebody; "" signs nothing."""

    def as_party(party: str) -> None:
        shop.broker.signatures = signatures_of(keys, party) if party else OFF

    return as_party


async def dead(shop: Shop) -> list[tuple[str, str]]:
    """What was put aside: subject and reason."""
    stored = await shop.stored("DEAD")
    return [(heads["Vitrine-Subject"], heads["Vitrine-Reason"]) for _, heads, _ in stored]


@pytest.mark.parametrize(
    ("party", "reason"),
    [("", "unsigned"), ("gateway", "wrong_producer"), ("generator", "wrong_producer")],
)
async def test_a_job_that_billing_did_not_send_is_not_run(
    shop, comfyui, signed, speak, party, reason
):
    async with running_generator(signed):
        speak(party)
        forged = await shop.order("fast")
        speak("billing")
        true = await shop.order("fast")
        end = await shop.end_of(true)
        await shop.until_jobs_done()

        async def put_aside() -> bool:
            return await dead(shop) == [(job_subject("image", "regular"), reason)]

        await drain(put_aside, what="the forged job is among the dead")

    assert isinstance(end, JobSucceeded)
    assert await shop.told(forged) == []
    assert await shop.record(forged) is None
    assert len(comfyui.prompts()) == 1


async def test_a_job_moved_into_the_priority_lane_is_not_run(shop, comfyui, signed, keys, speak):
    order_id = OrderId(new_id())
    body = job_of(order_id).encode()
    headers = Headers(id=MessageId(new_id()), order_id=order_id).to_wire()
    signatures_of(keys, "billing").sign(job_subject("image", "regular"), body, headers)
    speak("")

    async with running_generator(signed):
        await shop.broker.publish(job_subject("image", "priority"), body, headers)
        await shop.until_jobs_done()

    assert await dead(shop) == [(job_subject("image", "priority"), "bad_signature")]
    assert await shop.told(order_id) == []


async def test_a_cancel_that_billing_did_not_send_is_not_obeyed(shop, comfyui, signed, speak):
    async with running_generator(signed):
        speak("billing")
        order = await shop.order("slow")
        await shop.until_state(order, State.RUNNING)
        speak("gateway")
        await shop.cancel(order)

        async def put_aside() -> bool:
            return await dead(shop) == [(messages.CancelJob.subject, "wrong_producer")]

        await drain(put_aside, what="the forged cancel is among the dead")
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)


async def test_an_outcome_written_by_others_is_not_told(shop, comfyui, signed, keys, speak):
    """Or whoever can write into the bucket ends orders in the generator's name."""
    speak("billing")
    order = OrderId(new_id())
    outcome = outcomes.failed(order, NOBODY, 1, "out_of_memory", "forged")
    record = JobRecord(epoch=1, state=State.SETTLING, renewed_at=shop.clock.now(), outcome=outcome)
    await KeyValue(shop.broker, "jobs").put(job_key(order), msgspec.msgpack.encode(record))
    await shop.queue(job_of(order).encode(), order)

    async with running_generator(signed):
        end = await shop.end_of(order)

    assert isinstance(end, JobSucceeded)
    assert len(comfyui.prompts()) == 1


async def test_what_a_generator_tells_is_signed_by_it(shop, comfyui, signed, keys, speak):
    async with running_generator(signed):
        speak("billing")
        order = await shop.order("fast")
        await shop.end_of(order)

    billing: Signatures = signatures_of(keys, "billing")
    told = await shop.stored("EVENTS")
    assert told
    for subject, headers, body in told:
        assert billing.judge(subject, headers, body).producer == "generator"
        assert HEADER_SIGNATURE in headers
