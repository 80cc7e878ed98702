"""getUpdates: a real long poll, confirmed by offset, exclusive."""

import asyncio
import time

import pytest
from aiogram.exceptions import TelegramConflictError

from simulators.telegram.testing import eventually

USER = 10


async def polling_now(control):
    async def log():
        return await control.call("GET", "/updates")

    await eventually(log, lambda body: body["polling"])


async def test_a_waiting_poll_is_answered_when_a_person_writes(bot, control):
    polling = asyncio.create_task(bot.get_updates(timeout=10))
    await polling_now(control)
    assert not polling.done()

    made = await control.say(USER, "/start ref_42")
    [update] = await polling

    assert update.update_id == made["update_id"]
    assert update.message.message_id == made["message_id"]
    assert update.message.text == "/start ref_42"
    assert update.message.entities[0].type == "bot_command"
    assert update.message.chat.id == update.message.from_user.id == USER


async def test_an_empty_poll_returns_after_its_timeout(bot):
    began = time.monotonic()

    assert await bot.get_updates(timeout=1) == []

    assert time.monotonic() - began >= 0.9


async def test_updates_come_again_until_the_offset_confirms_them(bot, control):
    for number in range(3):
        await control.say(USER, str(number))

    first = await bot.get_updates()
    again = await bot.get_updates()
    rest = await bot.get_updates(offset=first[1].update_id + 1)
    last = await bot.get_updates(offset=first[0].update_id)

    assert [u.message.text for u in first] == ["0", "1", "2"]
    assert again == first
    assert [u.message.text for u in rest] == ["2"]
    assert last == rest, "a confirmed update does not come back by a lower offset"
    assert [u.update_id for u in first] == list(range(first[0].update_id, first[0].update_id + 3))


async def test_limit_and_negative_offset(bot, control):
    for number in range(5):
        await control.say(USER, str(number))

    assert [u.message.text for u in await bot.get_updates(limit=2)] == ["0", "1"]
    assert [u.message.text for u in await bot.get_updates(offset=-2)] == ["3", "4"]
    assert len(await bot.get_updates()) == 2


async def test_a_second_poll_ends_the_first_with_409(bot, control):
    first = asyncio.create_task(bot.get_updates(timeout=10))
    await polling_now(control)
    second = asyncio.create_task(bot.get_updates(timeout=10))

    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await first
    await control.say(USER, "hi")

    assert len(await second) == 1


async def test_polling_is_refused_while_a_webhook_is_set(bot):
    await bot.set_webhook("http://127.0.0.1:9/")

    with pytest.raises(TelegramConflictError, match="while webhook is active"):
        await bot.get_updates()

    await bot.delete_webhook()
    assert await bot.get_updates() == []


async def test_setting_a_webhook_ends_a_poll(bot, control):
    polling = asyncio.create_task(bot.get_updates(timeout=10))
    await polling_now(control)

    await bot.set_webhook("http://127.0.0.1:9/")

    with pytest.raises(TelegramConflictError, match="terminated by setWebhook"):
        await polling


async def test_allowed_updates_are_kept_until_changed(bot, control):
    await bot.get_updates(allowed_updates=["message"])
    sent = await control.say(USER, "hi")
    pressed = await control.press(USER, sent["message_id"], "x")
    blocked = await control.call("POST", f"/users/{USER}/block")

    updates = await bot.get_updates()

    assert [u.event_type for u in updates] == ["message"]
    assert pressed["update_id"] is blocked["update_id"] is None


async def test_chat_member_updates_come_only_on_request(bot, control):
    await control.call("PUT", "/chats/-100", json={"title": "Crew", "members": [1, 2]})
    silent = await control.call("POST", "/chats/-100/members/3", json={"by": 1})
    await bot.get_updates(allowed_updates=["chat_member", "message"])
    heard = await control.call("POST", "/chats/-100/members/4", json={"by": 1})

    [update] = await bot.get_updates()

    assert silent["update_id"] is None
    assert update.update_id == heard["update_id"]
    assert update.chat_member.new_chat_member.status == "member"
    assert update.chat_member.new_chat_member.user.id == 4


async def test_the_log_says_when_an_update_was_delivered(bot, control):
    made = await control.say(USER, "hi")
    await bot.get_updates()
    await bot.get_updates()

    [entry] = (await control.call("GET", "/updates"))["updates"]

    assert entry["update_id"] == made["update_id"]
    assert entry["deliveries"] == 2
    assert entry["created_at"] <= entry["delivered_at"] <= time.monotonic() * 1_000
