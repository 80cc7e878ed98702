"""One update: one transaction, one answer; repeats, bugs, groups, and people who leave."""

import asyncio
import itertools

import msgspec
import pytest

from chassis import parked, rpc
from chassis.broker import OutgoingMessage
from chassis.testing import drain
from contracts.billing import OpenAccount
from contracts.generator import shard_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDS = itertools.count(5_000_000, 100)


async def inject(platform, update_id: int, user_id: int, **content) -> None:
    """Put an update into the stream as the intake does, but without the stream's own dedupe."""
    body = msgspec.json.encode({"update_id": update_id, **content})
    subject = f"gateway.updates.{shard_of(user_id)}"
    await platform.broker.publish_all([OutgoingMessage(subject, body, {})])


def text(user_id: int, words: str, chat: dict | None = None) -> dict:
    person = {"id": user_id, "is_bot": False, "first_name": "A", "language_code": "en"}
    return {
        "message": {
            "message_id": 1,
            "date": 1_790_000_000,
            "chat": chat or {"id": user_id, "type": "private"},
            "from": person,
            "text": words,
        }
    }


async def bot_messages(platform, chat_id: int) -> list[dict]:
    return [each for each in await platform.people.messages(chat_id) if each["from"] == "bot"]


async def count_messages(platform, chat_id: int, count: int) -> bool:
    return len(await bot_messages(platform, chat_id)) >= count


async def drained(platform) -> bool:
    return (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]["messages"] == 0


async def test_the_same_update_again_repeats_the_answer_and_nothing_else(platform, person, gateway):
    update_id = next(IDS)
    await inject(platform, update_id, person, **text(person, "/start"))
    await inject(platform, update_id, person, **text(person, "/start"))

    await drain(lambda: count_messages(platform, person, 2), what="the answer, repeated")
    await drain(lambda: drained(platform), what="both deliveries are acknowledged")
    first, second = await bot_messages(platform, person)
    assert first["text"] == second["text"]
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", OpenAccount.subject)
    opened = [OpenAccount.decode(row["body"]).user_id for row in rows]
    assert opened.count(person) == 1


async def test_a_lower_update_id_is_no_repeat(platform, person, gateway):
    update_id = next(IDS)
    await inject(platform, update_id, person, **text(person, "/start"))
    await inject(platform, update_id - 1, person, **text(person, "/help"))

    await drain(lambda: count_messages(platform, person, 2), what="two answers")
    first, second = await bot_messages(platform, person)
    assert first["text"] != second["text"]


async def test_one_persons_updates_are_answered_in_order(platform, person, gateway):
    commands = ["/start", "/help", "/terms", "/language"] * 3
    first = next(IDS)
    for number, command in enumerate(commands):
        await inject(platform, first + number, person, **text(person, command))

    await drain(lambda: count_messages(platform, person, len(commands)), what="every answer")
    answers = [each["text"] for each in await bot_messages(platform, person)]
    assert answers == answers[:4] * 3
    assert len(set(answers[:4])) == 4


async def test_while_telegram_answers_500_the_answer_waits_in_a_row(platform, person, gateway):
    await platform.people.fault("500", method="sendMessage", chat_id=person, times=2)

    await inject(platform, next(IDS), person, **text(person, "/help"))

    await drain(lambda: drained(platform), what="the update is acknowledged")
    await drain(lambda: count_messages(platform, person, 1), what="the answer after the faults")
    query = "SELECT attempts FROM deliveries WHERE user_id = $1 AND state = 'sent'"
    await drain(lambda: platform.value(query, person), what="the row is settled")
    assert await platform.value(query, person) == 2


async def test_groups_are_told_once_that_they_are_not_served(platform, person, gateway):
    await platform.people.call("PUT", "/chats/-100500", json={"members": [person]})
    group = {"id": -100500, "type": "supergroup", "title": "G"}

    for _ in range(3):
        await inject(platform, next(IDS), person, **text(person, "/start", chat=group))

    await drain(lambda: drained(platform), what="the updates are acknowledged")
    assert len(await bot_messages(platform, -100500)) == 1


async def test_a_person_who_blocks_the_bot_is_marked_until_they_write_again(
    platform, person, gateway
):
    await platform.people.say(person, "/start")
    await platform.people.wait_message(person)

    await platform.people.call("POST", f"/users/{person}/block")
    await drain(lambda: _blocked(platform, person, True), what="the mark")
    await platform.people.call("POST", f"/users/{person}/unblock")
    await platform.people.say(person, "/help")

    await drain(lambda: _blocked(platform, person, False), what="the mark is gone")


async def test_a_send_to_someone_who_blocked_the_bot_marks_them(platform, person, gateway):
    await platform.people.fault("403", method="sendMessage", chat_id=person, times=1)

    await inject(platform, next(IDS), person, **text(person, "/start"))

    await drain(lambda: _blocked(platform, person, True), what="the mark")
    await drain(lambda: drained(platform), what="the update is acknowledged")


async def _blocked(platform, person: int, wanted: bool) -> bool:
    at = await platform.value("SELECT blocked_at FROM persons WHERE user_id = $1", person)
    return (at is not None) == wanted


async def test_what_a_router_cannot_handle_is_parked_told_and_redriven(platform, person, gateway):
    await inject(platform, next(IDS), person, **text(person, "/start"))
    welcome = await platform.people.wait_message(person)
    # A conversation that no router ever wrote: the handler trips over the missing media id.
    await platform.rows(
        "INSERT INTO conversations (bot_id, user_id, state, data, expires_at) "
        "VALUES ($1, $2, 'Making:choosing', '{}', now() + interval '1 hour')",
        platform.telegram.bot_id,
        person,
    )

    await inject(platform, next(IDS), person, **text(person, "hello"))

    sorry = await platform.people.wait_message(person, after=welcome["message_id"])
    await drain(lambda: drained(platform), what="the update is acknowledged")
    row = (await platform.rows("SELECT id, reason, state FROM parked WHERE state = 'parked'"))[0]
    assert row["reason"] == "failed: KeyError"
    assert await platform.value("SELECT count(*) FROM outbox WHERE subject = 'dead.gateway'") >= 1

    await platform.rows("DELETE FROM conversations WHERE user_id = $1", person)
    reply = await rpc.request(
        platform.broker,
        parked.RedriveParked(id=row["id"], actor="test"),
        parked.Redriven,
        subject="gateway.rpc.parked_redrive",
    )

    assert reply.changed
    answer = await platform.people.wait_message(person, after=sorry["message_id"])
    assert answer["text"] != sorry["text"]
    assert await platform.value("SELECT state FROM parked WHERE id = $1", row["id"]) == "done"


async def test_what_is_no_update_at_all_is_parked(platform, gateway):
    await platform.broker.publish_all([OutgoingMessage("gateway.updates.3", b"\x00not json", {})])

    await drain(lambda: drained(platform), what="it is acknowledged")
    reasons = await platform.rows("SELECT reason FROM parked")
    assert "not an update" in {row["reason"] for row in reasons}


async def test_postgres_going_away_delays_updates_and_loses_none(platform, person, gateway):
    parked_before = await platform.value("SELECT count(*) FROM parked")
    await platform.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'gateway' AND datname = current_database()"
    )

    help_ = text(person, "/help")
    await asyncio.gather(*(inject(platform, next(IDS), person, **help_) for _ in range(3)))

    await drain(lambda: count_messages(platform, person, 3), what="three answers")
    assert await platform.value("SELECT count(*) FROM parked") == parked_before
