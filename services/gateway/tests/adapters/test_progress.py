"""Progress edits the status message: seldom, the latest, and never after the end."""

import asyncio
import time

import pytest
import pytest_asyncio

from chassis.clock import new_id
from contracts.generator import JobProgress, progress_subject

EDIT_SECONDS = 0.5
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quick(platform):
    """A replica that edits every half second, so that the test need not wait."""
    return await platform.start(edit_interval=EDIT_SECONDS, chat_sends_per_second=100)


@pytest_asyncio.fixture(loop_scope="module")
async def order(platform, person, quick):
    """A running order whose status message exists."""
    order_id = new_id()
    await platform.people.say(person, "/start")
    welcome = await platform.people.wait_message(person)
    await platform.rows(
        "INSERT INTO screens (order_id, user_id, workflow_id, catalogue_version, price_credits, "
        "base_price_credits, priced_at, state, created_at, updated_at) "
        "VALUES ($1, $2, 'image.enhance', 1, 0, 0, now(), 'running', now(), now())",
        order_id,
        person,
    )
    await platform.rows(
        "INSERT INTO messages (chat_id, key, message_id, updated_at) VALUES ($1, $2, $3, now())",
        person,
        f"order:{order_id}",
        welcome["message_id"],
    )
    return order_id, welcome["message_id"]


async def say(platform, person: int, order_id, fraction: float) -> None:
    progress = JobProgress(order_id=order_id, user_id=person, fraction=fraction)
    subject = progress_subject(person, order_id)
    await platform.broker.publish_ephemeral(subject, progress.encode())


async def edits(platform, person: int) -> list[dict]:
    calls = await platform.people.calls("editMessageText")
    return [call for call in calls if call["chat_id"] == person]


async def test_the_latest_progress_wins_and_edits_are_seldom(platform, person, order):
    order_id, message_id = order
    began = time.monotonic()

    for percent in range(0, 100, 2):
        await say(platform, person, order_id, percent / 100)
        await asyncio.sleep(0.02)  # the generator's own pace: what is tested is ours

    await platform.people.wait_message(person, lambda each: "98" in (each["text"] or ""))
    made = await edits(platform, person)
    # One at once and one an interval, however long a busy machine took for all of it.
    assert 2 <= len(made) <= 2 + (time.monotonic() - began) / EDIT_SECONDS
    messages = [m for m in await platform.people.messages(person) if m["from"] == "bot"]
    assert [each["message_id"] for each in messages] == [message_id]


async def test_after_the_final_text_progress_is_not_shown(platform, person, order):
    order_id, message_id = order
    await say(platform, person, order_id, 0.1)
    await platform.people.wait_message(person, lambda each: "10" in (each["text"] or ""))
    await say(platform, person, order_id, 0.2)
    await platform.rows(
        "INSERT INTO deliveries (id, user_id, shard, kind, key, final, body, due_at, created_at) "
        "VALUES ($1, $2, $3, 'edit', $4, true, $5, now(), now())",
        new_id(),
        person,
        person % 32,
        f"order:{order_id}",
        '{"screen": {"text": "It is over"}}',
    )
    await platform.people.wait_message(person, lambda each: each["text"] == "It is over")

    made = len(await edits(platform, person))
    await say(platform, person, order_id, 0.9)
    # Proof by another order: whatever was offered before its edit has been decided by then.
    await platform.people.say(person, "/help")
    await platform.people.wait_message(person, after=message_id)
    await asyncio.sleep(0.6)  # one edit interval: a late edit would be made within it

    assert len(await edits(platform, person)) == made


async def test_progress_that_is_no_progress_is_ignored(platform, person, order):
    order_id, _message_id = order
    await platform.broker.publish_ephemeral(progress_subject(person, order_id), b"\xff")
    await say(platform, person, order_id, 0.5)

    await platform.people.wait_message(person, lambda each: "50" in (each["text"] or ""))
