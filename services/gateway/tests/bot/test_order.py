from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts import billing
from contracts.media import MediaRef
from gateway.domain import keys
from gateway.domain.callbacks import (
    CancelOrder,
    ChooseWorkflow,
    ConfirmOrder,
    DismissOrder,
    SendAsFile,
    pack,
    parse,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def price(workflow_id="image.product_scene", amount=10, **extra):
    return billing.Price(
        workflow_id=workflow_id,
        catalogue_version=3,
        price_credits=amount,
        base_price_credits=10,
        priced_at=NOW,
        available_credits=20,
        **extra,
    )


async def priced(chat, *, ready=True, workflow_id="image.product_scene"):
    """A photo was sent, a workflow chosen, a price shown; returns (media id, order id)."""
    chat.billing[billing.GetPrice] = price(workflow_id)
    media_id = await chat.send_photo()
    if ready:
        await chat.photo_arrives(media_id)
    answers = await chat.tap(pack(ChooseWorkflow(media_id, workflow_id)))
    confirm = parse(answers[0].screen.buttons[0][0].data)
    assert isinstance(confirm, ConfirmOrder)
    return media_id, confirm.order_id


def toasts(answers):
    return [answer.text for answer in answers if answer.kind == "toast"]


async def test_choosing_shows_the_price_before_anything_is_ordered(chat):
    chat.billing[billing.GetPrice] = price(amount=8)
    media_id = await chat.send_photo()

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))

    assert chat.asked == [billing.GetPrice(user_id=chat.user_id, workflow_id="image.product_scene")]
    shown = answers[0]
    assert shown.key.startswith("order:")
    assert shown.screen.buttons[0][0].text == "✅ Confirm – 8 credits"
    assert "<s>10</s>" in shown.screen.text
    assert await chat.emitted(billing.PlaceOrder) == []


async def test_a_discount_is_shown_beside_the_price_it_lowers(chat):
    chat.billing[billing.GetPrice] = price(amount=7, discount_percent=30, discount_until=NOW)
    media_id = await chat.send_photo()

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))

    text = answers[0].screen.text
    assert "<b>7 credits</b> <s>10</s>" in text
    assert "Your discount: −30%, until Nov 21, 15:00 (Europe/Moscow)." in text


async def test_a_discount_that_leaves_nothing_shows_what_it_would_have_cost(chat):
    chat.billing[billing.GetPrice] = price(amount=0, discount_percent=100)
    media_id = await chat.send_photo()

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))

    assert "<b>free</b> <s>10</s>" in answers[0].screen.text
    assert "Your discount: −100%." in answers[0].screen.text


async def test_confirm_places_exactly_the_order_that_was_shown(chat):
    media_id, order_id = await priced(chat)

    answers = await chat.tap(pack(ConfirmOrder(order_id)))

    (placed,) = await chat.emitted(billing.PlaceOrder)
    assert placed.order_id == order_id
    assert (placed.workflow_id, placed.catalogue_version) == ("image.product_scene", 3)
    assert (placed.price_credits, placed.priced_at) == (10, NOW)
    assert [(ref.name, ref.object_key) for ref in placed.inputs] == [("photo", f"in/{media_id}")]
    assert await chat.state_of(order_id) == "placed"
    assert [answer.key for answer in answers if answer.kind == "edit"] == [keys.order(order_id)]
    assert toasts(answers) == ["Placing your order…"]


async def test_a_second_confirm_places_nothing(chat):
    _, order_id = await priced(chat)

    await chat.tap(pack(ConfirmOrder(order_id)))
    again = await chat.tap(pack(ConfirmOrder(order_id)))

    assert len(await chat.emitted(billing.PlaceOrder)) == 1
    assert toasts(again) == ["Already ordered."]


async def test_the_same_update_twice_places_once_and_repeats_its_answer(chat):
    _, order_id = await priced(chat)
    before = next(chat._ids)
    chat._ids = iter([1, before, 2, before])

    first = await chat.tap(pack(ConfirmOrder(order_id)))
    second = await chat.tap(pack(ConfirmOrder(order_id)))

    assert first == second
    assert len(await chat.emitted(billing.PlaceOrder)) == 1


async def test_two_screens_for_one_photo_are_two_orders(chat):
    media_id, first = await priced(chat)
    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))
    second = parse(answers[0].screen.buttons[0][0].data).order_id

    await chat.tap(pack(ConfirmOrder(first)))
    await chat.tap(pack(ConfirmOrder(second)))

    assert {each.order_id for each in await chat.emitted(billing.PlaceOrder)} == {first, second}


async def test_a_confirm_before_the_photo_is_here_is_kept_and_sent_when_it_comes(chat):
    media_id, order_id = await priced(chat, ready=False)

    answers = await chat.tap(pack(ConfirmOrder(order_id)))
    again = await chat.tap(pack(ConfirmOrder(order_id)))

    assert await chat.emitted(billing.PlaceOrder) == []
    assert "still on its way" in answers[0].screen.text
    assert toasts(again) == ["Waiting for your photo…"]

    await chat.photo_arrives(media_id)

    assert [each.order_id for each in await chat.emitted(billing.PlaceOrder)] == [order_id]
    assert [key for key, _ in await chat.deliveries("edit")] == [keys.order(order_id)]


async def test_a_photo_that_never_comes_drops_the_kept_confirm_and_says_so(chat):
    media_id, order_id = await priced(chat, ready=False)
    await chat.tap(pack(ConfirmOrder(order_id)))

    await chat.photo_fails(media_id, "unreachable")

    told = dict(await chat.deliveries("edit"))
    assert "could not fetch your photo" in told[keys.order(order_id)].text
    assert "you were not charged" in told[keys.order(order_id)].text
    assert await chat.state_of(order_id) == "dropped"
    assert await chat.emitted(billing.PlaceOrder) == []


async def test_a_confirm_after_the_photo_failed_is_answered(chat):
    media_id, order_id = await priced(chat, ready=False)
    await chat.photo_fails(media_id, "damaged")

    answers = await chat.tap(pack(ConfirmOrder(order_id)))

    assert "incomplete or damaged" in answers[0].screen.text
    assert await chat.state_of(order_id) == "dropped"


async def test_a_photo_that_turns_out_too_small_is_not_ordered(chat):
    media_id, order_id = await priced(chat, ready=False)
    await chat.tap(pack(ConfirmOrder(order_id)))

    await chat.photo_arrives(media_id, width=10)

    assert "64 pixels" in (await chat.deliveries("edit"))[0][1].text
    assert await chat.emitted(billing.PlaceOrder) == []


async def test_a_photo_known_to_be_too_small_is_refused_before_the_price(chat):
    chat.billing[billing.GetPrice] = price()
    media_id = await chat.send_photo()
    await chat.photo_arrives(media_id, width=10)

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))

    assert [answer.kind for answer in answers] == ["toast"]
    assert "64 pixels" in answers[0].text


async def test_without_an_answer_from_billing_the_person_is_asked_to_try_again(chat):
    media_id = await chat.send_photo()

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.product_scene")))

    assert [answer.kind for answer in answers] == ["toast"]
    assert "not answering" in answers[0].text
    assert answers[0].alert


@pytest.mark.parametrize(
    "tap", [ConfirmOrder, DismissOrder, CancelOrder, SendAsFile], ids=lambda kind: kind.__name__
)
async def test_somebody_elses_button_is_refused(chat, tap):
    _, order_id = await priced(chat)
    if tap is CancelOrder:
        await chat.tap(pack(ConfirmOrder(order_id)))
    before = await chat.state_of(order_id)

    answers = await chat.tap(pack(tap(order_id)), user_id=chat.user_id + 1)

    assert toasts(answers) == ["This button belongs to somebody else."]
    assert await chat.state_of(order_id) == before
    assert await chat.emitted(billing.CancelOrder) == []


async def test_somebody_elses_photo_is_refused(chat):
    chat.billing[billing.GetPrice] = price()
    media_id = await chat.send_photo()

    answers = await chat.tap(
        pack(ChooseWorkflow(media_id, "image.product_scene")), user_id=chat.user_id + 1
    )

    assert toasts(answers) == ["This button belongs to somebody else."]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "c:0:xxxx",
        "confirm",
        "w:1:AZN24Sttfj-KUS-dbBt-QA:image.enhance",
        "c:1:AZN24Sttfj-KUS-dbBt-QA",
        "x:1:AZN24Sttfj-KUS-dbBt-QA",
        "'; DROP TABLE screens; --",
    ],
)
async def test_old_and_forged_buttons_are_answered_with_a_toast(chat, data):
    answers = await chat.tap(data)

    assert [answer.kind for answer in answers] == ["toast"]
    assert answers[0].text


async def test_a_workflow_that_is_not_offered_is_refused(chat):
    media_id = await chat.send_photo()

    answers = await chat.tap(pack(ChooseWorkflow(media_id, "image.gone")))

    assert toasts(answers) == ["This is no longer on offer. Please choose something else."]


async def test_dismissing_closes_the_screen_for_good(chat):
    _, order_id = await priced(chat)

    dismissed = await chat.tap(pack(DismissOrder(order_id)))
    confirmed = await chat.tap(pack(ConfirmOrder(order_id)))

    assert "Nothing was ordered" in dismissed[0].screen.text
    assert toasts(confirmed) == ["This offer is closed. Send the photo again."]
    assert await chat.emitted(billing.PlaceOrder) == []


async def test_dismissing_a_placed_order_points_to_cancel(chat):
    _, order_id = await priced(chat)
    await chat.tap(pack(ConfirmOrder(order_id)))

    answers = await chat.tap(pack(DismissOrder(order_id)))

    assert toasts(answers) == ["It is already ordered. Use the cancel button."]
    assert await chat.state_of(order_id) == "placed"


async def test_cancel_is_asked_for_once(chat):
    _, order_id = await priced(chat)
    await chat.tap(pack(ConfirmOrder(order_id)))

    first = await chat.tap(pack(CancelOrder(order_id)))
    second = await chat.tap(pack(CancelOrder(order_id)))

    (command,) = await chat.emitted(billing.CancelOrder)
    assert command.order_id == order_id
    assert toasts(first) == ["Stopping your order…"]
    assert toasts(second) == ["Already being stopped."]


async def test_cancelling_a_kept_confirm_drops_it(chat):
    media_id, order_id = await priced(chat, ready=False)
    await chat.tap(pack(ConfirmOrder(order_id)))

    await chat.tap(pack(CancelOrder(order_id)))
    await chat.photo_arrives(media_id)

    assert await chat.state_of(order_id) == "dropped"
    assert await chat.emitted(billing.PlaceOrder) == []


async def test_slash_cancel_stops_nothing_and_lists_what_runs(chat):
    _, order_id = await priced(chat)
    await chat.tap(pack(ConfirmOrder(order_id)))
    await chat.send_photo()

    answers = await chat.send("/cancel")
    text_afterwards = await chat.send("hello")

    assert await chat.emitted(billing.CancelOrder) == []
    assert answers[0].screen.buttons[0][0].data == pack(CancelOrder(order_id))
    assert "1 order under way" in answers[0].screen.text
    assert "Send me one photo" in text_afterwards[0].screen.text


async def test_slash_cancel_with_nothing_under_way(chat):
    assert "No orders under way" in (await chat.send("/cancel"))[0].screen.text


async def test_a_result_can_be_had_as_a_file(chat):
    _, order_id = await priced(chat)
    await chat.tap(pack(ConfirmOrder(order_id)))
    output = MediaRef(
        name="o", object_key="results/o", sha256="0" * 64, mime="image/png", size_bytes=5
    )
    await chat.receive(
        billing.OrderCompleted(
            order_id=order_id,
            user_id=chat.user_id,
            workflow_id="image.product_scene",
            charged_credits=10,
            outputs=(output,),
        )
    )

    answers = await chat.tap(pack(SendAsFile(order_id)))

    assert toasts(answers) == ["Sending the file…"]
    (sent,) = [screen for _, screen in await chat.deliveries("send")]
    assert sent.document
    assert sent.photo == output


async def test_a_file_before_the_result_is_a_toast(chat):
    _, order_id = await priced(chat)

    answers = await chat.tap(pack(SendAsFile(order_id)))

    assert toasts(answers) == ["There is no file for this order."]


async def test_an_order_nobody_knows_is_an_old_button(chat):
    answers = await chat.tap(pack(ConfirmOrder(uuid4())))

    assert toasts(answers) == ["This button is out of date. Please use the menu."]
