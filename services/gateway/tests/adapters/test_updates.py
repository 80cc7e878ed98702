"""One update: one transaction, one answer; repeats, bugs, groups, and people who leave."""

import asyncio

import msgspec
import pytest

from chassis import parked, rpc
from chassis.broker import OutgoingMessage
from chassis.testing import drain
from contracts.billing import OpenAccount
from contracts.generator import shard_of

PERSON = 1_001


async def inject(platform, update_id: int, **content) -> None:
    """Put an update into the stream as the intake does, with an id of our own."""
    body = msgspec.json.encode({"update_id": update_id, **content})
    user_id = PERSON
    await platform.broker.publish_all(
        [OutgoingMessage(f"gateway.updates.{shard_of(user_id)}", body, {})]
    )


def text(words: str, chat: dict | None = None) -> dict:
    person = {"id": PERSON, "is_bot": False, "first_name": "A", "language_code": "ru"}
    return {
        "message": {
            "message_id": 1,
            "date": 1_790_000_000,
            "chat": chat or {"id": PERSON, "type": "private"},
            "from": person,
            "text": words,
        }
    }


async def bot_messages(platform, chat_id: int = PERSON) -> list[dict]:
    return [each for each in await platform.people.messages(chat_id) if each["from"] == "bot"]


async def count_messages(platform, count: int) -> bool:
    return len(await bot_messages(platform)) >= count


async def drained(platform) -> bool:
    return (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]["messages"] == 0


@pytest.fixture
async def gateway(platform):
    await platform.people.user(PERSON, first_name="A", language_code="ru", started=True)
    return await platform.start()


async def test_the_same_update_again_repeats_the_answer_and_nothing_else(platform, gateway):
    await inject(platform, 900, **text("/start"))
    await inject(platform, 900, **text("/start"))

    await drain(lambda: count_messages(platform, 2), what="the answer and its repetition")
    await drain(lambda: drained(platform), what="both deliveries are acknowledged")
    first, second = await bot_messages(platform)
    assert first["text"] == second["text"]
    rows = await platform.rows("SELECT id FROM outbox WHERE subject = $1", OpenAccount.subject)
    assert len(rows) == 1


async def test_a_lower_update_id_is_no_repeat(platform, gateway):
    await inject(platform, 900, **text("/start"))
    await inject(platform, 899, **text("/help"))

    await drain(lambda: count_messages(platform, 2), what="two answers")
    first, second = await bot_messages(platform)
    assert first["text"] != second["text"]


async def test_one_persons_updates_are_answered_in_order(platform, gateway):
    commands = ["/start", "/help", "/terms", "/language"] * 3
    for number, command in enumerate(commands):
        await inject(platform, 2_000 + number, **text(command))

    await drain(lambda: count_messages(platform, len(commands)), what="every answer")
    answers = [each["text"] for each in await bot_messages(platform)]
    assert answers == answers[:4] * 3
    assert len(set(answers[:4])) == 4


async def test_an_answer_that_would_wait_too_long_becomes_a_delivery(platform):
    await platform.people.user(PERSON, first_name="A", started=True)
    await platform.start(chat_sends_per_second=2, chat_sends_burst=1, send_wait_max=0.1)

    for number in range(4):
        await inject(platform, 3_000 + number, **text("/help"))

    await drain(lambda: drained(platform), what="the updates are acknowledged first")
    assert await platform.value("SELECT count(*) FROM deliveries") >= 1
    await drain(lambda: count_messages(platform, 4), what="the late answers come all the same")


async def test_while_telegram_answers_500_the_answer_waits_in_a_row(platform, gateway):
    await platform.people.fault("500", method="sendMessage", times=3)

    await inject(platform, 910, **text("/help"))

    await drain(lambda: drained(platform), what="the update is acknowledged")
    await drain(lambda: count_messages(platform, 1), what="the answer after the faults")
    assert await platform.value("SELECT attempts FROM deliveries") == 3


async def test_groups_are_told_once_that_they_are_not_served(platform, gateway):
    await platform.people.call("PUT", "/chats/-100500", json={"members": [PERSON]})
    group = {"id": -100500, "type": "supergroup", "title": "G"}

    for number in range(3):
        await inject(platform, 4_000 + number, **text("/start", chat=group))

    await drain(lambda: drained(platform), what="the updates are acknowledged")
    told = [m for m in await platform.people.messages(-100500) if m["from"] == "bot"]
    assert len(told) == 1


async def test_a_person_who_blocks_the_bot_is_marked_until_they_write_again(platform, gateway):
    await platform.people.say(PERSON, "/start")
    await platform.people.wait_message(PERSON)

    await platform.people.call("POST", f"/users/{PERSON}/block")
    await drain(lambda: _blocked(platform, True), what="the mark")
    await platform.people.call("POST", f"/users/{PERSON}/unblock")
    await platform.people.say(PERSON, "/help")

    await drain(lambda: _blocked(platform, False), what="the mark is gone")


async def test_a_send_to_someone_who_blocked_the_bot_marks_them(platform, gateway):
    await platform.people.fault("403", method="sendMessage", times=1)

    await inject(platform, 920, **text("/start"))

    await drain(lambda: _blocked(platform, True), what="the mark")
    await drain(lambda: drained(platform), what="the update is acknowledged")


async def _blocked(platform, wanted: bool) -> bool:
    at = await platform.value("SELECT blocked_at FROM persons WHERE user_id = $1", PERSON)
    return (at is not None) == wanted


async def test_a_routers_bug_is_parked_the_person_told_and_the_redrive_works(
    platform, gateway, monkeypatch
):
    real = type(gateway.shop.texts).say

    def broken(self, language):
        raise ZeroDivisionError

    # The fault is in the shop's own code: no stand-in of ours answers in its place.
    monkeypatch.setattr(type(gateway.shop.texts), "say", broken)
    await inject(platform, 930, **text("/help"))
    await drain(lambda: _starts(platform, 930, 2), what="two failed tries")
    monkeypatch.setattr(type(gateway.shop.texts), "say", real)
    monkeypatch.setattr(gateway.runner._turns._dispatcher, "feed_update", _fails)

    sorry = await platform.people.wait_message(PERSON)
    await drain(lambda: drained(platform), what="the update is acknowledged")
    row = (await platform.rows("SELECT id, reason, state FROM parked"))[0]
    assert row["state"] == "parked"
    assert "failed" in row["reason"]
    assert await platform.value("SELECT count(*) FROM outbox WHERE subject = 'dead.gateway'") == 1

    monkeypatch.undo()
    reply = await rpc.request(
        platform.broker,
        parked.RedriveParked(id=row["id"], actor="test"),
        parked.Redriven,
        subject="gateway.rpc.parked_redrive",
    )
    assert reply.changed
    answer = await platform.people.wait_message(PERSON, after=sorry["message_id"])
    assert answer["text"] != sorry["text"]
    assert await platform.value("SELECT state FROM parked") == "done"


async def _fails(*_arguments, **_named):
    raise ZeroDivisionError


async def _starts(platform, update_id: int, count: int) -> bool:
    starts = await platform.value("SELECT starts FROM updates WHERE update_id = $1", update_id)
    return (starts or 0) >= count


async def test_what_is_no_update_at_all_is_parked(platform, gateway):
    await platform.broker.publish_all([OutgoingMessage("gateway.updates.3", b"\x00not json", {})])

    await drain(lambda: drained(platform), what="it is acknowledged")
    assert await platform.value("SELECT reason FROM parked") == "not an update"


async def test_postgres_going_away_delays_an_update_and_loses_none(platform, gateway):
    await platform.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'gateway' AND datname = current_database()"
    )

    await asyncio.gather(*(inject(platform, 940 + n, **text("/help")) for n in range(3)))

    await drain(lambda: count_messages(platform, 3), what="three answers")
    assert await platform.value("SELECT count(*) FROM parked") == 0
