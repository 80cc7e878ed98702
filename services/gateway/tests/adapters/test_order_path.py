"""From the first hello to the picture, through the real gateway; the test speaks for billing."""

import hashlib
from datetime import UTC, datetime

import pytest

from chassis.objects import Objects
from chassis.testing import drain
from contracts.billing import OrderAccepted, OrderCompleted, PlaceOrder
from contracts.gateway import DeliveryRecorded
from contracts.generator import JobStarted
from contracts.media import MediaRef

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCENE = "image.product_scene"


def words(message: dict) -> str:
    return message["text"] or message["caption"] or ""


def buttons(message: dict) -> dict[str, str]:
    """Data by text of every button under a message."""
    return {each["text"]: each["callback_data"] for row in message["buttons"] for each in row}


async def tap(platform, person: int, message: dict, text: str) -> None:
    await platform.people.press(person, message["message_id"], buttons(message)[text])


async def placed(platform, person: int) -> PlaceOrder | None:
    rows = await platform.rows("SELECT body FROM outbox WHERE subject = $1", PlaceOrder.subject)
    orders = [PlaceOrder.decode(row["body"]) for row in rows]
    return next((order for order in orders if order.user_id == person), None)


async def test_a_photo_goes_in_and_a_picture_comes_out(platform, person, gateway, picture):
    people = platform.people
    await people.say(person, "/start")
    await people.wait_message(person, lambda each: "Welcome" in words(each))
    await people.send_file(person, picture)
    choice = await people.wait_message(person, lambda each: "Got it" in words(each))
    await tap(platform, person, choice, "Product scene – 10 credits")
    shown = await people.wait_message(person, lambda each: "Price:" in words(each))
    await tap(platform, person, shown, "✅ Confirm – 10 credits")
    await drain(lambda: placed(platform, person), what="the order is placed")

    order = await placed(platform, person)
    assert order is not None
    about = {"order_id": order.order_id, "user_id": person}
    state = {"aggregate": f"order:{order.order_id}", "order_id": order.order_id}
    accepted = OrderAccepted(
        **about,
        workflow_id=SCENE,
        price_credits=10,
        pool="image",
        lane="regular",
        start_before=datetime.now(UTC),
    )
    await platform.publish(accepted, version=1, **state)
    await people.wait_message(person, lambda each: "is accepted" in words(each))
    started = JobStarted(**about, epoch=1, server="a", started_at=datetime.now(UTC))
    await platform.publish(started, order_id=order.order_id)
    running = await people.wait_message(person, lambda each: "in the works" in words(each))
    assert running["message_id"] == shown["message_id"]

    stored = await Objects(platform.broker).put(f"results/{order.order_id}", picture)
    output = MediaRef(
        name="out.jpg",
        object_key=f"results/{order.order_id}",
        sha256=hashlib.sha256(picture).hexdigest(),
        mime="image/jpeg",
        size_bytes=stored.size,
        width=640,
        height=480,
    )
    completed = OrderCompleted(
        **about,
        workflow_id=SCENE,
        charged_credits=10,
        outputs=(output,),
        available_credits=10,
    )
    await platform.publish(completed, version=2, **state)
    result = await people.wait_message(person, lambda each: "Charged" in words(each))
    assert "You have 10 credits left." in result["caption"]
    await people.wait_message(person, lambda each: "ready!" in words(each))

    await tap(platform, person, result, "📎 As file")
    await people.wait_message(person, lambda each: (each["media"] or {}).get("kind") == "document")
    rows = await platform.rows(
        "SELECT body FROM outbox WHERE subject = $1", DeliveryRecorded.subject
    )
    told = [DeliveryRecorded.decode(row["body"]) for row in rows]
    assert [each.message_id for each in told if each.user_id == person] == [result["message_id"]]


async def test_a_file_that_is_no_picture_is_answered_and_costs_nothing(platform, person, gateway):
    await platform.people.send_file(person, b"\xff\xd8 not really", name="a.jpg", as_document=True)

    await platform.people.wait_message(
        person, lambda each: "not a picture" in words(each) or "damaged" in words(each)
    )
    assert await placed(platform, person) is None
