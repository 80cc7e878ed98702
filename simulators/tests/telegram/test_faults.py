"""Each fault on order: how the bot's library feels it, and that it ends."""

import asyncio
import time

import aiohttp
import pytest
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)

from simulators.telegram.testing import eventually

USER = 10


@pytest.fixture(autouse=True)
async def chat(control):
    await control.say(USER, "/start")


async def bot_texts(control) -> list[str]:
    return [m["text"] for m in await control.messages(USER) if m["from"] == "bot"]


async def test_429_tells_how_long_to_wait_and_ends_after_its_times(bot, control):
    await control.fault("429", method="sendMessage", retry_after=7, times=2)

    for _ in range(2):
        with pytest.raises(TelegramRetryAfter) as refused:
            await bot.send_message(USER, "hi")
        assert refused.value.retry_after == 7
    await bot.send_message(USER, "third")

    assert await bot_texts(control) == ["third"]


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("403", TelegramForbiddenError, "bot was blocked by the user"),
        ("400", TelegramBadRequest, "Bad Request"),
        ("500", TelegramServerError, "Internal Server Error"),
        ("502", TelegramServerError, "Bad Gateway"),
    ],
)
async def test_status_faults_are_what_aiogram_expects(bot, control, kind, error, words):
    await control.fault(kind, method="*", times=1)

    with pytest.raises(error, match=words):
        await bot.send_message(USER, "hi")

    assert (await bot.send_message(USER, "after")).text == "after"


async def test_reset_cuts_the_connection(bot, control):
    await control.fault("reset", method="sendMessage", times=1)

    with pytest.raises(TelegramNetworkError):
        await bot.send_message(USER, "hi")

    assert await bot_texts(control) == []


async def test_an_answer_can_be_lost_after_the_message_was_sent(bot, control):
    await control.fault("reset", method="sendMessage", times=1, after=True)

    with pytest.raises(TelegramNetworkError):
        await bot.send_message(USER, "sent, but who knows")

    assert await bot_texts(control) == ["sent, but who knows"]


async def test_hang_keeps_the_caller_waiting(bot, control):
    await control.fault("hang", method="getMe", seconds=0.4)
    began = time.monotonic()

    with pytest.raises(TelegramNetworkError):
        await bot.get_me()

    assert time.monotonic() - began >= 0.4


async def test_stopping_does_not_wait_for_a_hanging_call(control, sim):
    await control.fault("hang", method="getMe")
    async with aiohttp.ClientSession() as session:
        hanging = asyncio.create_task(session.get(f"{sim.url}/bot{sim.token}/getMe"))
        await eventually(control.calls, lambda calls: calls)

        # The call hangs for good: that this returns at all is the proof.
        await sim.stop()

        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_latency_delays_every_answer(bot, control):
    await control.fault("latency", seconds=2)

    await asyncio.gather(*(bot.send_message(USER, str(n)) for n in range(3)))

    [*calls] = await control.calls("sendMessage")
    assert all(call["duration_ms"] >= 2_000 for call in calls)
    answered = [call["received_at"] + call["duration_ms"] for call in calls]
    assert max(call["received_at"] for call in calls) < min(answered), "they wait at the same time"


async def test_a_fault_can_be_for_one_chat(bot, control):
    await control.say(11, "/start")
    await control.fault("403", method="sendMessage", chat_id=USER)

    await bot.send_message(11, "fine")
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(USER, "not fine")


async def test_probability_is_seeded(bot, control, sim):
    async def outcomes() -> list[bool]:
        await control.reset()
        await control.say(USER, "/start")
        await control.fault("500", method="sendMessage", probability=0.5)
        results = []
        for _ in range(20):
            try:
                await bot.send_message(USER, "hi")
                results.append(True)
            except TelegramServerError:
                results.append(False)
        return results

    first, second = await outcomes(), await outcomes()

    assert first == second
    assert 4 <= sum(first) <= 16


async def test_faults_are_listed_and_cleared(bot, control):
    await control.fault("500", method="sendMessage")
    [fault] = (await control.call("GET", "/faults"))["faults"]
    assert (fault["kind"], fault["method"]) == ("500", "sendmessage")

    await control.clear_faults()

    await bot.send_message(USER, "hi")


async def test_an_unknown_fault_is_refused(control, sim):
    async with aiohttp.ClientSession() as session:
        for wish in ({"kind": "flood"}, {"kind": "500", "colour": "red"}):
            async with session.post(f"{sim.url}/control/faults", json=wish) as response:
                assert response.status == 400
                assert "unknown" in (await response.json())["error"]


async def test_duplicates_and_disorder_in_one_poll(bot, control):
    await control.fault("duplicate_updates", times=1)
    await control.fault("out_of_order_updates", times=1)
    made = await control.say(USER, "second")

    updates = await bot.get_updates()

    first = made["update_id"] - 1
    assert [u.update_id - first for u in updates] == [1, 1, 0]


async def test_rate_limit_per_chat_and_overall(bot, control):
    await control.say(11, "/start")
    await control.fault("rate_limit", per_second=3, per_chat_per_second=1)

    await bot.send_message(USER, "one")
    with pytest.raises(TelegramRetryAfter) as refused:
        await bot.send_message(USER, "two")
    await bot.send_message(11, "other chat")

    assert refused.value.retry_after == 1

    async def accepted() -> bool:
        try:
            await bot.send_message(USER, "two")
        except TelegramRetryAfter:
            return False
        return True

    await eventually(accepted, bool)
    assert await bot_texts(control) == ["one", "two"]


async def test_downloads_can_fail_too(bot, control, jpeg, sim):
    made = await control.send_file(USER, jpeg)
    [message] = [m for m in await control.messages(USER) if m["message_id"] == made["message_id"]]
    file = await bot.get_file(message["media"]["file_id"])
    await control.fault("500", method="file", times=1)
    url = f"{sim.url}/file/bot{sim.token}/{file.file_path}"

    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert response.status == 500
        async with session.get(url) as response:
            assert response.status == 200
