"""Updates by webhook: guarded by the secret, stored before Telegram gets its 200."""

import itertools

import aiohttp
import msgspec
import pytest

from chassis.testing import drain

IDS = itertools.count(1_000)
SECRET = "s3cret-0123456789"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


def message(user_id: int, text: str, update_id: int | None = None) -> bytes:
    person = {"id": user_id, "is_bot": False, "first_name": "A", "language_code": "en"}
    update = {
        "update_id": update_id or next(IDS),
        "message": {
            "message_id": 1,
            "date": 1_790_000_000,
            "chat": {"id": user_id, "type": "private"},
            "from": person,
            "text": text,
        },
    }
    return msgspec.json.encode(update)


@pytest.fixture
async def post(platform, free_port):
    await platform.people.user(5, first_name="A", started=True)
    gateway = await platform.start(
        mode="webhook", webhook_port=free_port, webhook_secret=SECRET, update_bytes_max=10_000
    )
    async with aiohttp.ClientSession() as session:

        async def send(body: bytes, secret: str | bytes | None = SECRET) -> int:
            headers = {} if secret is None else {HEADER: secret}
            url = f"http://127.0.0.1:{free_port}/telegram"
            async with session.post(url, data=body, headers=headers) as answer:
                return answer.status

        send.gateway = gateway
        yield send


async def stored(platform) -> int:
    return (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]["last_seq"]


@pytest.mark.parametrize("secret", [None, "", "wrong", "sécret", SECRET + "x"])
async def test_a_wrong_secret_is_refused_and_nothing_is_stored(platform, post, secret):
    status = await post(message(5, "/start"), secret)

    assert status == 401
    assert await stored(platform) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"update_id": "x"}', b"\xff\xfe"])
async def test_a_body_that_is_no_update_is_refused(platform, post, body):
    assert await post(body) == 400
    assert await stored(platform) == 0


async def test_a_body_above_the_limit_is_refused(platform, post):
    assert await post(message(5, "x" * 20_000)) == 413
    assert await stored(platform) == 0


async def test_an_update_sent_twice_is_answered_once(platform, post):
    body = message(5, "/start")

    statuses = [await post(body), await post(body), await post(body)]

    assert statuses == [200, 200, 200]
    await platform.people.wait_message(5)
    assert await stored(platform) == 1


async def test_updates_out_of_order_are_all_answered(platform, post):
    for update_id in (5_003, 5_001, 5_002):
        assert await post(message(5, "/balance", update_id)) == 200

    await drain(lambda: _answers(platform, 5, 3), what="three answers")


async def test_without_a_stream_telegram_is_told_to_come_again(platform, post):
    body = message(5, "/start")
    await platform.broker.api("STREAM.DELETE.UPDATES")

    assert await post(body) == 503


async def test_unknown_kinds_of_update_are_acknowledged(platform, post):
    unknown = {"update_id": next(IDS), "message_reaction": {"chat": {"id": 5, "type": "private"}}}

    assert await post(msgspec.json.encode(unknown)) == 200
    assert await post(msgspec.json.encode({"update_id": next(IDS), "brand_new": {"a": 1}})) == 200

    await drain(lambda: _acknowledged(platform, 2), what="both updates are acknowledged")
    assert await platform.value("SELECT count(*) FROM parked") == 0


async def test_a_known_kind_of_unknown_shape_is_parked_and_the_person_told(platform, post):
    broken = {"message": {"from": {"id": 5}, "chat": {"id": 5}, "date": "soon"}}
    body = msgspec.json.encode({"update_id": next(IDS), **broken})

    assert await post(body) == 200

    assert await platform.people.wait_message(5)
    assert await platform.value("SELECT reason FROM parked") is not None
    await drain(lambda: _acknowledged(platform, 1), what="the update is acknowledged")


async def _answers(platform, user_id: int, count: int) -> bool:
    sent = await platform.people.messages(user_id)
    return len([each for each in sent if each["from"] == "bot"]) == count


async def _acknowledged(platform, count: int) -> bool:
    state = (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]
    return state["messages"] == 0 and state["last_seq"] >= count
