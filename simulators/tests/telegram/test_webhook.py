"""Webhook delivery: secret, order, retries, duplicates, parallel chats."""

import asyncio
from collections.abc import Callable

import pytest
from aiogram.exceptions import TelegramBadRequest
from aiohttp import web

from simulators.telegram import webhook
from simulators.telegram.testing import eventually


class Receiver:
    """A bot's webhook endpoint whose answers a test decides."""

    def __init__(self) -> None:
        self.url = ""
        self.updates: list[dict] = []
        self.secrets: list[str | None] = []
        self.answer: Callable[[dict], web.Response] = lambda _: web.Response()
        self.arrived = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.inside = 0
        self.inside_most = 0

    async def handle(self, request: web.Request) -> web.Response:
        update = await request.json()
        self.updates.append(update)
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        async with self.arrived:
            self.arrived.notify_all()
        self.inside += 1
        self.inside_most = max(self.inside, self.inside_most)
        await self.gate.wait()
        self.inside -= 1
        return self.answer(update)

    @property
    def texts(self) -> list[str]:
        return [update["message"]["text"] for update in self.updates]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30), self.arrived:
            await self.arrived.wait_for(lambda: len(self.updates) >= count)


@pytest.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    receiver.gate.set()
    await runner.cleanup()


async def until_pending(bot, count: int):
    return await eventually(bot.get_webhook_info, lambda i: i.pending_update_count == count)


async def test_updates_arrive_with_the_secret(bot, control, receiver):
    await bot.set_webhook(receiver.url, secret_token="s3cret_-Z")

    await control.say(1, "hi")
    await receiver.until(1)

    assert receiver.texts == ["hi"]
    assert receiver.secrets == ["s3cret_-Z"]
    info = await until_pending(bot, 0)
    assert (info.url, info.max_connections, info.last_error_message) == (receiver.url, 40, None)


async def test_what_waited_before_the_webhook_is_delivered_to_it(bot, control, receiver):
    await control.say(1, "early")

    await bot.set_webhook(receiver.url)
    await receiver.until(1)

    assert receiver.texts == ["early"]


async def test_a_failing_webhook_is_retried_in_order(bot, control, receiver):
    failures = iter([500, 503, 404])

    def answer(update: dict) -> web.Response:
        return web.Response(status=next(failures, 200))

    receiver.answer = answer
    await bot.set_webhook(receiver.url)
    await control.say(1, "first")
    await control.say(1, "second")

    await receiver.until(5)

    assert receiver.texts == ["first"] * 4 + ["second"]
    info = await until_pending(bot, 0)
    assert info.last_error_message == "Wrong response from the webhook: 404 Not Found"


async def test_nothing_is_lost_while_the_bot_is_away(bot, control, receiver):
    await bot.set_webhook("http://127.0.0.1:9/hook")
    await control.say(1, "are you there?")
    info = await eventually(bot.get_webhook_info, lambda i: i.last_error_message)
    assert (info.last_error_message, info.pending_update_count) == ("Connection refused", 1)

    await bot.set_webhook(receiver.url)
    await receiver.until(1)

    assert receiver.texts == ["are you there?"]


async def test_one_chat_in_order_other_chats_in_parallel(bot, control, receiver):
    receiver.gate.clear()
    await bot.set_webhook(receiver.url, max_connections=2)
    for text in ("a1", "a2"):
        await control.say(1, text)
    for user in (2, 3):
        await control.say(user, f"from {user}")

    await receiver.until(2)
    assert sorted(receiver.texts) == ["a1", "from 2"], "two connections, one update per chat"
    receiver.gate.set()
    await receiver.until(4)

    assert receiver.texts.index("a1") < receiver.texts.index("a2")
    assert receiver.inside_most == 2


async def test_an_update_can_be_delivered_twice(bot, control, receiver):
    await control.fault("duplicate_updates", times=1)
    await bot.set_webhook(receiver.url)

    await control.say(1, "hi")
    await control.say(1, "ho")
    await receiver.until(3)

    assert receiver.texts == ["hi", "hi", "ho"]
    assert receiver.updates[0]["update_id"] == receiver.updates[1]["update_id"]


async def test_updates_can_arrive_out_of_order(bot, control, receiver, monkeypatch):
    monkeypatch.setattr(webhook, "REORDER_WAIT_SECONDS", 30.0)
    await bot.set_webhook(receiver.url)
    await control.fault("out_of_order_updates", times=1)

    await control.say(1, "first")
    await control.say(1, "second")
    await receiver.until(2)

    assert receiver.texts == ["second", "first"]


async def test_the_answer_may_carry_a_method(bot, control, receiver):
    receiver.answer = lambda _: web.json_response(
        {"method": "sendMessage", "chat_id": 1, "text": "from the answer"}
    )
    await bot.set_webhook(receiver.url)

    await control.say(1, "hi")

    assert (await control.wait_message(1))["text"] == "from the answer"


async def test_pending_updates_can_be_dropped(bot, control):
    await bot.set_webhook("http://127.0.0.1:9/hook")
    await control.say(1, "hi")

    await bot.delete_webhook(drop_pending_updates=True)

    assert await bot.get_updates() == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"url": "nonsense"}, "invalid webhook URL specified"),
        ({"secret_token": "with space"}, "secret token contains unallowed characters"),
        ({"secret_token": "x" * 257}, "secret token is too long"),
    ],
)
async def test_wrong_webhooks_are_refused(bot, options, reason):
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.set_webhook(**{"url": "http://127.0.0.1:9/", **options})
