"""Draw, gift and invitation through the real gateway; the test speaks for billing."""

from datetime import UTC, date, datetime

import pytest
import pytest_asyncio

from chassis import rpc
from chassis.testing import drain
from contracts.rewards import (
    DrawTaken,
    GetRewards,
    GiftMade,
    MakeGift,
    Rewards,
    TakeDraw,
)
from gateway.domain.callbacks import ConfirmGift, pack

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY = date(2026, 11, 21)


def words(message):
    return message["text"] or ""


def data_of(message, text):
    (found,) = [
        each["callback_data"] for row in message["buttons"] for each in row if each["text"] == text
    ]
    return found


def urls(message):
    return [each["url"] for row in message["buttons"] for each in row if each.get("url")]


async def commands(platform, kind, person):
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", kind.subject)
    return [each for each in map(kind.decode, (r["body"] for r in rows)) if each.user_id == person]


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def rewards(broker):
    async def answer(_request: GetRewards) -> Rewards:
        return Rewards(referral_code="Q7XWABCD", draw_day=DAY, draw_commitment="5e" * 32)

    answering = await rpc.answer(broker, GetRewards, answer)
    yield
    await answering.stop()


async def test_a_draw_is_answered_at_once_and_then_on_the_same_message(platform, person, gateway):
    people = platform.people
    await people.say(person, "/draw")
    shown = await people.wait_message(person, lambda each: "SSR" in words(each))
    await people.press(person, shown["message_id"], data_of(shown, "🎲 Draw!"))
    drawing = await people.wait_message(person, lambda each: "Drawing your lot" in words(each))
    await drain(lambda: commands(platform, TakeDraw, person), what="the draw is asked for")

    taken = DrawTaken(
        user_id=person,
        day=DAY,
        prize="SSR",
        percent=50,
        valid_until=datetime.now(UTC),
        commitment="5e" * 32,
    )
    await platform.publish(taken)

    won = await people.wait_message(person, lambda each: "You won" in words(each))
    assert won["message_id"] == drawing["message_id"] == shown["message_id"]


async def test_a_gifts_link_names_the_bot_as_telegram_calls_it(platform, person, gateway):
    people = platform.people
    name = (await gateway.telegram.call("getMe"))["username"]
    await people.say(person, "/help")
    some = await people.wait_message(person, lambda each: "How it works" in words(each))
    await people.press(person, some["message_id"], "gm:1:AZN24Sttfj-KUS-dbBt-QA:50")
    await drain(lambda: commands(platform, MakeGift, person), what="the gift is asked for")
    (asked,) = await commands(platform, MakeGift, person)

    made = GiftMade(
        gift_id=asked.gift_id,
        user_id=person,
        credits=50,
        code="ABCDEFGH",
        expires_at=datetime.now(UTC),
    )
    await platform.publish(made)

    ready = await people.wait_message(person, lambda each: "Your gift is ready" in words(each))
    assert pack(ConfirmGift(asked.gift_id, 50)) == "gm:1:AZN24Sttfj-KUS-dbBt-QA:50"
    assert ready["message_id"] == some["message_id"]
    assert f"https://t.me/{name}?start=gift_ABCDEFGH" in words(ready)
    assert urls(ready)[0].startswith("https://t.me/share/url?url=https%3A%2F%2Ft.me")


async def test_an_invitation_carries_the_persons_own_code(platform, person, gateway):
    await platform.people.say(person, "/invite")

    shown = await platform.people.wait_message(person, lambda each: "Your link" in words(each))

    assert "?start=ref_Q7XWABCD" in words(shown)
