"""Garbage on any subject is parked with its owner, and holds nobody else up."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext

from chassis.clock import id_floor, new_id
from contracts import billing, gateway, generator, scheduler, vpn
from contracts.envelope import HEADER_ID, HEADER_ORDER
from contracts.generator import job_subject, shard_of
from contracts.ids import derived_id
from contracts.topology import UNKNOWN_MESSAGE_PATIENCE
from devstack import nats_security
from devstack.customer import ENHANCE, PRODUCT_SCENE, Customer
from devstack.stage import Account, Stage
from devstack.testing import wait_until

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.asyncio(loop_scope="session")]

GARBAGE = b"\xc1 this is no message of ours \x00\xff"
TRIAL = Account(available=20, held=0, transfers=1)
PATIENCE_SECONDS = 60.0
DATABASES = ("gateway", "billing", "vpn", "scheduler")
# Who keeps what came on a subject; the generator has no database and puts it on its dead subject.
OWNERS = {
    gateway.DeliverResult.subject: "gateway",
    billing.PlaceOrder.subject: "billing",
    vpn.GrantAccess.subject: "vpn",
    scheduler.ScheduleTimer.subject: "scheduler",
    billing.OrderCompleted.subject: "gateway",
    generator.JobSucceeded.subject: "billing",
    gateway.DeliveryRecorded.subject: "billing",
    "billing.cmd.never_heard_of.v1": "billing",
    "gateway.updates.7": "gateway",
    generator.CancelJob.subject: "generator",
    job_subject("image", "regular"): "generator",
}


@pytest_asyncio.fixture(loop_scope="session")
async def stream(steady: Stage) -> AsyncIterator[JetStreamContext]:
    options = nats_security.options(steady.identity)
    client: Client = await nats.connect(steady.urls["nats"], **options)
    yield client.jetstream()
    await client.close()


def old_id(subject: str) -> UUID:
    """An id from before the hour that a rolling upgrade is given."""
    long_ago = datetime.now(UTC) - UNKNOWN_MESSAGE_PATIENCE - timedelta(minutes=5)
    return derived_id(id_floor(long_ago), subject, new_id())


async def dead_letters(stream: JetStreamContext) -> list[str]:
    """The subjects of what the generator could not handle."""
    found = []
    info = await stream.stream_info("DEAD")
    for number in range(max(1, info.state.first_seq), info.state.last_seq + 1):
        message = await stream.get_msg("DEAD", number)
        if message.subject == "dead.generator":
            found.append((message.headers or {})["Vitrine-Subject"])
    return found


async def parked_in(stage: Stage, service: str) -> set[str]:
    rows = await stage.fetch(f"SELECT id FROM {service}.parked WHERE state = 'parked'")
    return {str(row["id"]) for row in rows}


async def test_garbage_on_any_subject_is_parked_and_can_be_looked_at_and_redriven(
    steady: Stage, stream: JetStreamContext
) -> None:
    dead_before = len(await dead_letters(stream))
    sent = {subject: str(old_id(subject)) for subject in OWNERS}
    for subject, message_id in sent.items():
        headers = steady.signed(subject, GARBAGE, {HEADER_ID: message_id})
        await stream.publish(subject, GARBAGE, headers=headers)

    async def all_parked() -> bool:
        dead = (await dead_letters(stream))[dead_before:]
        kept = {service: await parked_in(steady, service) for service in DATABASES}
        return all(
            subject in dead if owner == "generator" else sent[subject] in kept[owner]
            for subject, owner in OWNERS.items()
        )

    await wait_until(all_parked, "everything parked", PATIENCE_SECONDS)
    parked = sent[billing.PlaceOrder.subject]
    _, listed = await steady.run("vitrine", "dead", "list")
    _, shown = await steady.run("vitrine", "dead", "show", "billing", parked)
    _, redriven = await steady.run("vitrine", "dead", "redrive", "billing", parked)

    async def parked_again() -> bool:
        return parked in await parked_in(steady, "billing")

    await wait_until(parked_again, "parked again: it still cannot be read", PATIENCE_SECONDS)
    missing = [
        subject
        for subject, owner in OWNERS.items()
        if owner != "generator" and sent[subject] not in listed
    ]
    assert missing == []
    assert "in the stream DEAD, subject dead.generator" in listed
    assert json.loads(shown)["body"] == GARBAGE.hex()
    assert "it is parked again" in redriven


async def test_young_garbage_waits_for_an_upgrade_and_holds_no_order_up(
    steady: Stage, stream: JetStreamContext, customer: Customer, coffee: bytes
) -> None:
    sent = [str(new_id()) for _ in OWNERS]
    for subject, message_id in zip(OWNERS, sent, strict=True):
        headers = steady.signed(subject, GARBAGE, {HEADER_ID: message_id})
        await stream.publish(subject, GARBAGE, headers=headers)

    await customer.result(await customer.order(coffee, ENHANCE))

    assert not await parked_in(steady, "billing") & {*sent}


async def test_a_job_nobody_can_read_is_refunded(
    steady: Stage,
    stream: JetStreamContext,
    customer: Customer,
    new_user: Iterator[int],
    coffee: bytes,
) -> None:
    """The order's id is a header too, so even then the person gets an answer."""
    busy = steady.customer(next(new_user))
    await busy.start()
    offer = await busy.offer(coffee)
    ahead = [await busy.quote(offer, PRODUCT_SCENE) for _ in range(2)]
    quote = await customer.quote(await customer.offer(coffee), PRODUCT_SCENE)
    await steady.comfyui("faults", {"kind": "block", "seconds": 3.0})
    for first in ahead:
        await busy.chat.press(first.message, first.confirm)
        await busy.status(first, "accepted", "in the works")
    await customer.chat.press(quote.message, quote.confirm)
    await customer.status(quote, "accepted")
    subject = job_subject("image", "regular")
    job = await stream.get_last_msg("JOBS", subject)
    assert job.headers is not None
    assert job.headers[HEADER_ORDER] == str(quote.order_id)
    assert await stream.delete_msg("JOBS", job.seq)
    headers = {HEADER_ORDER: str(quote.order_id), HEADER_ID: str(new_id())}
    headers = steady.signed(subject, GARBAGE, headers)
    await stream.publish(subject, GARBAGE, headers=headers)
    answer = await customer.chat.wait_for(
        lambda said: "something broke on our side" in said.text and "credits" in said.text,
        "refund",
    )

    assert "You were not charged, 10 credits are back." in answer.text
    account = await steady.account(customer.chat.user_id)
    assert (account.available, account.held) == (20, 0)


async def test_a_malformed_update_is_parked_and_its_sender_is_told(
    steady: Stage, stream: JetStreamContext, customer: Customer
) -> None:
    user_id = customer.chat.user_id
    update_id = new_id().int >> 88
    sender = {"id": user_id, "is_bot": False, "first_name": "Dora"}
    chat = {"id": user_id, "type": "private"}
    update = {
        "update_id": update_id,
        "message": {"from": sender, "chat": chat, "text": {"not": "a text"}, "message_id": []},
    }
    message_id = old_id("update")
    subject, body = f"gateway.updates.{shard_of(user_id)}", json.dumps(update).encode()
    headers = steady.signed(subject, body, {HEADER_ID: str(message_id)})
    await stream.publish(subject, body, headers=headers)

    await customer.chat.wait_for(lambda said: "Something broke" in said.text, "apology")

    assert str(message_id) in await parked_in(steady, "gateway")
    assert await steady.account(user_id) == TRIAL
