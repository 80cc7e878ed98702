"""Messages that events cause: in order, tried until settled, results recorded."""

import hashlib

import pytest

from chassis.clock import new_id
from chassis.objects import Objects
from chassis.testing import drain
from contracts.gateway import DeliverResult, DeliveryRecorded
from contracts.media import MediaRef
from gateway.adapters import claimed_rows
from gateway.adapters.deliveries import PostgresDeliveries
from gateway.ports import EDIT, RESULT, Screen

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def deliveries(gateway):
    return PostgresDeliveries(new_id, gateway.delivery_runner.wake)


async def said(platform, person: int) -> list[str]:
    messages = await platform.people.messages(person)
    return [each["text"] or each["caption"] for each in messages if each["from"] == "bot"]


async def recorded(platform, order_id) -> list[DeliveryRecorded]:
    rows = await platform.rows(
        "SELECT body FROM outbox WHERE subject = $1", DeliveryRecorded.subject
    )
    events = [DeliveryRecorded.decode(row["body"]) for row in rows]
    return [each for each in events if each.order_id == order_id]


async def output(platform, data: bytes) -> MediaRef:
    key = f"results/{new_id()}.jpg"
    stored = await Objects(platform.broker).put(key, data)
    return MediaRef(
        name="result.jpg",
        object_key=key,
        sha256=hashlib.sha256(data).hexdigest(),
        mime="image/jpeg",
        size_bytes=stored.size,
        width=640,
        height=480,
    )


async def test_a_persons_rows_are_sent_in_order(platform, person, outbox, deliveries):
    async with outbox.begin() as uow:
        for number in range(8):
            await deliveries.queue(uow, user_id=person, screen=Screen(text=f"n{number}"))

    await drain(lambda: _said_count(platform, person, 8), what="eight messages")
    assert await said(platform, person) == [f"n{number}" for number in range(8)]


async def test_a_row_is_sent_once_its_transaction_commits_without_waiting_for_the_sweep(
    platform, person, outbox, deliveries, monkeypatch
):
    monkeypatch.setattr(claimed_rows, "SWEEP_SECONDS", 3_600)
    for text in ("ends the sweep's last short wait", "quick"):
        async with outbox.begin() as uow:
            await deliveries.queue(uow, user_id=person, screen=Screen(text=text))
        await platform.people.wait_message(person, lambda each, text=text: each["text"] == text)


async def test_a_newer_edit_replaces_one_that_waits(platform, person, outbox, deliveries):
    async with outbox.begin() as uow:
        await deliveries.queue(uow, user_id=person, screen=Screen(text="v0"), key="k")
    await platform.people.wait_message(person)
    async with outbox.begin() as uow:
        for version in ("v1", "v2", "v3"):
            await deliveries.queue(
                uow, user_id=person, screen=Screen(text=version), key="k", kind=EDIT
            )

    await platform.people.wait_message(person, lambda each: each["text"] == "v3")
    await all_settled(platform, person)
    states = await platform.rows(
        "SELECT state FROM deliveries WHERE user_id = $1 AND kind = 'edit' ORDER BY id", person
    )
    assert [row["state"] for row in states] == ["superseded", "superseded", "sent"]


async def test_after_the_final_text_an_older_event_changes_nothing(
    platform, person, outbox, deliveries
):
    async with outbox.begin() as uow:
        await deliveries.queue(
            uow, user_id=person, screen=Screen(text="over"), key="k", kind=EDIT, final=True
        )
    await platform.people.wait_message(person)
    async with outbox.begin() as uow:
        await deliveries.queue(uow, user_id=person, screen=Screen(text="50 %"), key="k", kind=EDIT)

    query = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND state = 'sent'"
    await drain(lambda: _value_is(platform, query, person, 2), what="both rows are settled")
    assert await said(platform, person) == ["over"]


async def test_a_result_is_delivered_once_however_often_it_is_asked_for(
    platform, person, gateway, picture
):
    await platform.people.say(person, "/start")
    result = await output(platform, picture)
    order_id = new_id()
    command = DeliverResult(
        order_id=order_id,
        user_id=person,
        workflow_id="image.enhance",
        charged_credits=0,
        outputs=(result,),
    )

    for _ in range(3):
        await platform.publish(command)

    shown = await platform.people.wait_message(person, lambda each: "photo" in each["raw"])
    await drain(lambda: recorded(platform, order_id), what="delivery_recorded")
    photos = [m for m in await platform.people.messages(person) if "photo" in m["raw"]]
    assert len(photos) == 1
    assert {each.message_id for each in await recorded(platform, order_id)} == {shown["message_id"]}


async def test_a_result_shown_again_is_not_uploaded_again(
    platform, person, outbox, deliveries, picture
):
    result = await output(platform, picture)
    for _ in range(2):
        async with outbox.begin() as uow:
            screen = Screen(text="here", photo=result)
            await deliveries.queue(uow, user_id=person, screen=screen)
    await drain(lambda: _said_count(platform, person, 2), what="both messages")

    files = await platform.rows(
        "SELECT file_id FROM files WHERE object_key = $1", result.object_key
    )
    assert len(files) == 1


async def test_a_result_that_is_lost_is_recorded_as_lost(platform, person, outbox, deliveries):
    order_id = new_id()
    ghost = MediaRef(
        name="a.jpg", object_key="nowhere", sha256="0" * 64, mime="image/jpeg", size_bytes=1
    )
    async with outbox.begin() as uow:
        screen = Screen(text="here", photo=ghost)
        await deliveries.queue(uow, user_id=person, screen=screen, kind=RESULT, order_id=order_id)

    await drain(lambda: recorded(platform, order_id), what="delivery_recorded")
    assert [each.reason for each in await recorded(platform, order_id)] == ["object_lost"]


async def test_a_result_to_someone_who_left_is_recorded_with_its_reason(
    platform, person, outbox, deliveries, picture
):
    await platform.people.say(person, "/start")
    await platform.people.wait_message(person)
    await platform.people.call("POST", f"/users/{person}/block")
    order_id = new_id()
    result = await output(platform, picture)
    async with outbox.begin() as uow:
        screen = Screen(text="here", photo=result)
        await deliveries.queue(uow, user_id=person, screen=screen, kind=RESULT, order_id=order_id)

    await drain(lambda: recorded(platform, order_id), what="delivery_recorded")
    assert [each.reason for each in await recorded(platform, order_id)] == ["bot_blocked"]
    query = "SELECT blocked_at IS NOT NULL FROM persons WHERE user_id = $1"
    assert await platform.value(query, person)


@pytest.mark.parametrize("kind", ["500", "429", "reset"])
async def test_a_result_outlives_telegrams_troubles(
    platform, person, outbox, deliveries, picture, kind
):
    order_id = new_id()
    result = await output(platform, picture)
    await platform.people.fault(kind, method="sendPhoto", chat_id=person, times=1, retry_after=1)
    async with outbox.begin() as uow:
        screen = Screen(text="here", photo=result)
        await deliveries.queue(uow, user_id=person, screen=screen, kind=RESULT, order_id=order_id)

    await drain(lambda: recorded(platform, order_id), what="delivery_recorded")
    assert [bool(each.message_id) for each in await recorded(platform, order_id)] == [True]


async def test_a_screen_telegram_refuses_fails_and_does_not_block_the_next(
    platform, person, outbox, deliveries
):
    async with outbox.begin() as uow:
        await deliveries.queue(uow, user_id=person, screen=Screen(text="<b>broken"))
        await deliveries.queue(uow, user_id=person, screen=Screen(text="fine"))

    await all_settled(platform, person)
    assert await said(platform, person) == ["fine"]
    states = await platform.rows(
        "SELECT state FROM deliveries WHERE user_id = $1 ORDER BY id", person
    )
    assert [row["state"] for row in states] == ["failed", "sent"]


async def _said_count(platform, person: int, count: int) -> bool:
    return len(await said(platform, person)) >= count


async def all_settled(platform, person: int) -> None:
    """A message is in the chat a moment before the gateway has written down that it was sent."""
    left = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND state = 'intent'"
    await drain(lambda: _value_is(platform, left, person, 0), what="the end of every row")


async def _value_is(platform, query: str, person: int, wanted) -> bool:
    return await platform.value(query, person) == wanted


async def test_rows_written_by_another_replica_wake_the_holder_of_the_shard(
    platform, person, outbox, gateway, monkeypatch
):
    """The writer holds no shard itself, like a replica that handles the event of another's user."""
    # No sweep comes to help: after the first row, only a wake can bring the second.
    monkeypatch.setattr(claimed_rows, "SWEEP_SECONDS", 3_600.0)
    deliveries = PostgresDeliveries(new_id, lambda _shard: None)
    query = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND state = 'sent'"

    for number, text in enumerate(("from afar", "from afar again"), 1):
        async with outbox.begin() as uow:
            await deliveries.queue(uow, user_id=person, screen=Screen(text=text))
        await platform.broker.publish_ephemeral(f"gateway.wake.{person % 32}", b"")
        await drain(lambda n=number: _value_is(platform, query, person, n), what=text)
