"""Updates by webhook: guarded by the secret, stored before Telegram gets its 200."""

import itertools

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from chassis import bootstrap
from chassis.testing import drain
from contracts import topology
from contracts.generator import SHARDS
from devstack.testing import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDS = itertools.count(1_000_000)
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post(platform):
    port = free_port()
    url = f"http://127.0.0.1:{port}/telegram"
    await platform.start(
        mode="webhook",
        webhook_port=port,
        webhook_secret=SECRET,
        webhook_url=url,
        update_bytes_max=10_000,
        chat_sends_per_second=100,
    )
    async with aiohttp.ClientSession() as session:

        async def send(body: bytes, secret: str | None = SECRET) -> int:
            headers = {} if secret is None else {HEADER: secret}
            async with session.post(url, data=body, headers=headers) as answer:
                return answer.status

        yield send


async def stored(platform) -> int:
    return (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]["last_seq"]


async def test_a_wrong_secret_is_refused_and_nothing_is_stored(platform, person, post):
    before = await stored(platform)

    guesses = [None, "", "wrong", "sécret", SECRET + "x"]
    statuses = [await post(message(person, "/start"), guess) for guess in guesses]

    assert statuses == [401] * len(guesses)
    assert await stored(platform) == before


async def test_who_guesses_the_secret_is_slowed_down_and_telegram_is_not(platform, person, post):
    guesses = [await post(b"{}", f"guess {number}") for number in range(80)]

    assert (guesses[0], guesses[-1]) == (401, 429)
    assert set(guesses) == {401, 429}
    assert await post(message(person, "/start")) == 200


async def test_a_body_that_is_no_update_is_refused(platform, post):
    before = await stored(platform)

    bodies = [b"", b"{", b"[]", b'{"update_id": "x"}', b"\xff\xfe"]
    statuses = [await post(body) for body in bodies]

    assert statuses == [400] * len(bodies)
    assert await stored(platform) == before


async def test_a_body_above_the_limit_is_refused(platform, person, post):
    before = await stored(platform)

    assert await post(message(person, "x" * 20_000)) == 413
    assert await stored(platform) == before


async def test_telegram_delivers_to_the_webhook_that_was_registered(platform, person, post):
    await platform.people.fault("duplicate_updates", probability=0.5)
    await platform.people.fault("out_of_order_updates", probability=0.5)

    for _ in range(6):
        await platform.people.say(person, "/help")

    await drain(lambda: _answers(platform, person, 6), what="six answers")


async def test_an_update_sent_twice_is_answered_once(platform, person, post):
    before, body = await stored(platform), message(person, "/start")

    statuses = [await post(body), await post(body), await post(body)]

    assert statuses == [200, 200, 200]
    await platform.people.wait_message(person)
    assert await stored(platform) == before + 1


async def test_updates_out_of_order_are_all_answered(platform, person, post):
    first = next(IDS)
    for update_id in (first + 90_003, first + 90_001, first + 90_002):
        assert await post(message(person, "/balance", update_id)) == 200

    await drain(lambda: _answers(platform, person, 3), what="three answers")


async def test_unknown_kinds_of_update_are_acknowledged(platform, person, post):
    before, parked = await stored(platform), await platform.value("SELECT count(*) FROM parked")
    unknown = {"update_id": next(IDS), "message_reaction": {"chat": {"id": person}}}

    assert await post(msgspec.json.encode(unknown)) == 200
    assert await post(msgspec.json.encode({"update_id": next(IDS), "brand_new": {"a": 1}})) == 200

    await drain(lambda: _acknowledged(platform, before + 2), what="both are acknowledged")
    assert await platform.value("SELECT count(*) FROM parked") == parked


async def test_a_known_kind_of_unknown_shape_is_parked_and_the_person_told(platform, person, post):
    before = await stored(platform)
    broken = {"message": {"from": {"id": person}, "chat": {"id": person}, "date": "soon"}}

    assert await post(msgspec.json.encode({"update_id": next(IDS), **broken})) == 200

    assert await platform.people.wait_message(person)
    reasons = await platform.rows("SELECT reason FROM parked")
    assert any(row["reason"].startswith("malformed") for row in reasons)
    await drain(lambda: _acknowledged(platform, before + 1), what="it is acknowledged")


async def test_an_update_of_which_only_the_id_can_be_read_is_parked(platform, post):
    before = await stored(platform)
    strange = {"update_id": next(IDS), "message": {"from": {"id": "somebody"}, "chat": []}}

    assert await post(msgspec.json.encode(strange)) == 200

    await drain(lambda: _acknowledged(platform, before + 1), what="it is acknowledged")
    reasons = await platform.rows("SELECT reason FROM parked")
    assert "malformed" in {row["reason"] for row in reasons}


async def test_without_a_stream_telegram_is_told_to_come_again(platform, person, post):
    body = message(person, "/start")
    # One by one: with the stream they go too, but then nats-server 2.15 tells only some of the
    # pulls (2 to 31 of 32 on busy cores), and the others ask again after 37 seconds of silence.
    for shard in range(SHARDS):
        await platform.broker.api(f"CONSUMER.DELETE.UPDATES.{topology.shard_consumer(shard)}")
    await platform.broker.api("STREAM.DELETE.UPDATES")

    assert await post(body) == 503

    await bootstrap.apply(platform.broker)
    assert await post(body) == 200
    assert await platform.people.wait_message(person)


async def _answers(platform, user_id: int, count: int) -> bool:
    sent = await platform.people.messages(user_id)
    return len([each for each in sent if each["from"] == "bot"]) == count


async def _acknowledged(platform, count: int) -> bool:
    state = (await platform.broker.api("STREAM.INFO.UPDATES"))["state"]
    return state["messages"] == 0 and state["last_seq"] >= count
