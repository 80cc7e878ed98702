"""A person writes, the bot answers: by polling, and by a webhook with unreliable deliveries."""

import pytest

from chassis.testing import drain
from contracts.billing import OpenAccount

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_start_is_answered_and_opens_an_account(platform, person, gateway):
    await platform.people.say(person, "/start")
    answer = await platform.people.wait_message(person)

    assert answer["buttons"]
    commands = await platform.rows(
        "SELECT body FROM outbox WHERE subject = $1", OpenAccount.subject
    )
    assert [OpenAccount.decode(row["body"]).user_id for row in commands] == [person]


async def test_a_read_is_asked_of_billing_first(platform, person, gateway):
    await platform.people.say(person, "/balance")

    answer = await platform.people.wait_message(person)

    assert "20" in answer["text"]
    await drain(lambda: _none_waiting(platform), what="the update is acknowledged")


async def test_polling_survives_duplicated_and_reordered_updates(platform, person, gateway):
    await platform.people.fault("duplicate_updates", probability=0.5)
    await platform.people.fault("out_of_order_updates", probability=0.5)

    for _ in range(10):
        await platform.people.say(person, "/help")

    await drain(lambda: _answers(platform, person, 10), what="ten answers")
    await drain(lambda: _none_waiting(platform), what="all updates are acknowledged")
    assert await _answers(platform, person, 10)


async def _answers(platform, person: int, count: int) -> bool:
    sent = await platform.people.messages(person)
    return len([each for each in sent if each["from"] == "bot"]) == count


async def _none_waiting(platform) -> bool:
    state = await platform.broker.api("STREAM.INFO.UPDATES")
    return state["state"]["messages"] == 0
