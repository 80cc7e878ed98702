"""What people are told when their order moves; in whatever order and however often events come."""

from datetime import UTC, datetime

import pytest

from contracts import billing, errors, gateway, generator
from contracts.media import MediaRef
from gateway.bot.positions import PositionRefresher
from gateway.domain import keys
from gateway.domain.callbacks import CancelOrder, ChooseWorkflow, ConfirmOrder, pack, parse
from gateway.domain.purchase_buttons import TopUpFor

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCENE = "image.product_scene"
PICTURE = MediaRef(name="o", object_key="r/o", sha256="0" * 64, mime="image/png", size_bytes=5)
CLIP = MediaRef(
    name="v", object_key="r/v", sha256="0" * 64, mime="video/mp4", size_bytes=5, kind="video"
)


@pytest.fixture
async def placed(chat):
    """The id of an order that was confirmed."""
    chat.billing[billing.GetPrice] = billing.Price(
        workflow_id=SCENE,
        catalogue_version=1,
        price_credits=10,
        base_price_credits=10,
        priced_at=NOW,
    )
    media_id = await chat.send_photo()
    await chat.photo_arrives(media_id)
    answers = await chat.tap(pack(ChooseWorkflow(media_id, SCENE)))
    order_id = parse(answers[0].screen.buttons[0][0].data).order_id
    await chat.tap(pack(ConfirmOrder(order_id)))
    return order_id


def accepted(chat, order_id):
    return billing.OrderAccepted(
        order_id=order_id,
        user_id=chat.user_id,
        workflow_id=SCENE,
        price_credits=10,
        pool="image",
        lane="regular",
        start_before=NOW,
    )


def started(chat, order_id):
    return generator.JobStarted(
        order_id=order_id, user_id=chat.user_id, epoch=1, server="a", started_at=NOW
    )


def completed(chat, order_id, **changes):
    fields = {"workflow_id": SCENE, "charged_credits": 10, "outputs": (PICTURE,)}
    return billing.OrderCompleted(order_id=order_id, user_id=chat.user_id, **{**fields, **changes})


def refunded(chat, order_id, reason, returned=10, *, cancelled=False):
    return billing.OrderRefunded(
        order_id=order_id,
        user_id=chat.user_id,
        workflow_id=SCENE,
        returned_credits=returned,
        reason=reason,
        cancelled=cancelled,
    )


def refused(chat, order_id, code, **fields):
    return billing.OrderRefused(order_id=order_id, user_id=chat.user_id, code=code, **fields)


async def status(chat, order_id):
    """What the status message will show next."""
    return [screen for key, screen in await chat.deliveries("edit") if key == keys.order(order_id)]


async def test_an_accepted_order_shows_that_it_is_queued_with_a_cancel_button(chat, placed):
    await chat.receive(accepted(chat, placed))

    (screen,) = await status(chat, placed)
    assert "your order is accepted" in screen.text
    assert screen.buttons[0][0].data == pack(CancelOrder(placed))


async def test_a_started_job_shows_a_progress_bar_in_place_of_the_queue(chat, placed):
    await chat.receive(accepted(chat, placed))
    await chat.receive(started(chat, placed))

    (screen,) = await status(chat, placed)
    assert "░░░░░░░░░░ 0 %" in screen.text


async def test_an_acceptance_that_comes_after_the_start_is_not_shown(chat, placed):
    await chat.receive(started(chat, placed))
    await chat.receive(accepted(chat, placed))

    assert await chat.state_of(placed) == "running"
    (screen,) = await status(chat, placed)
    assert "0 %" in screen.text


async def test_a_completed_order_delivers_its_result_with_price_balance_and_buttons(chat, placed):
    await chat.receive(completed(chat, placed, available_credits=30))

    ((_, result),) = await chat.deliveries("result")
    assert result.photo == PICTURE
    assert "Charged: 10 credits." in result.text
    assert "You have 30 credits left." in result.text
    assert [button.text for button in result.buttons[0]] == ["📎 As file", "🔁 Once more"]
    assert "ready" in (await status(chat, placed))[-1].text


async def test_a_discounted_order_names_both_prices_with_its_result(chat, placed):
    await chat.receive(completed(chat, placed, charged_credits=7))

    ((_, result),) = await chat.deliveries("result")
    assert "Charged: 7 credits <s>10</s>." in result.text


async def test_a_video_is_delivered_as_a_video(chat, placed):
    await chat.receive(completed(chat, placed, outputs=(CLIP,)))

    ((_, result),) = await chat.deliveries("result")
    assert (result.photo, result.video) == (None, CLIP)


async def test_a_completion_that_comes_twice_delivers_once(chat, placed):
    await chat.receive(completed(chat, placed))
    await chat.receive(completed(chat, placed))
    await chat.receive(
        gateway.DeliverResult(
            order_id=placed,
            user_id=chat.user_id,
            workflow_id=SCENE,
            charged_credits=10,
            outputs=(PICTURE,),
        )
    )

    assert len(await chat.deliveries("result")) == 1
    assert len(await status(chat, placed)) == 1


async def test_deliver_result_sends_what_was_never_queued(chat, placed):
    await chat.receive(
        gateway.DeliverResult(
            order_id=placed,
            user_id=chat.user_id,
            workflow_id=SCENE,
            charged_credits=0,
            outputs=(PICTURE, CLIP),
        )
    )

    assert [screen.media for _, screen in await chat.deliveries("result")] == [PICTURE, CLIP]


async def test_a_cancel_that_came_too_late_is_said(chat, placed):
    await chat.tap(pack(CancelOrder(placed)))

    await chat.receive(completed(chat, placed, cancel_lost=True))

    assert "before your cancel did" in (await status(chat, placed))[-1].text


async def test_a_late_success_after_a_refund_is_a_gift(chat, placed):
    await chat.receive(refunded(chat, placed, errors.HOLD_EXPIRED))
    await chat.receive(completed(chat, placed, charged_credits=0, gift=True))

    ((_, result),) = await chat.deliveries("result")
    assert "it is a gift" in result.text
    assert await chat.state_of(placed) == "completed"


async def test_a_failure_says_that_nothing_was_charged_in_a_message_of_its_own(chat, placed):
    await chat.receive(refunded(chat, placed, errors.FAILED_OUT_OF_MEMORY))

    ((_, told),) = await chat.deliveries("send")
    assert "You were not charged, 10 credits are back." in told.text
    assert told.buttons[0][0].text == "🔁 Try again"
    assert await chat.deliveries("result") == []


async def test_a_cancelled_order_is_told_on_its_own_message_only(chat, placed):
    await chat.tap(pack(CancelOrder(placed)))

    await chat.receive(refunded(chat, placed, errors.CANCELLED_BY_USER, cancelled=True))

    assert "not charged, 10 credits are back" in (await status(chat, placed))[-1].text
    assert await chat.deliveries("send") == []


async def test_a_refund_that_comes_twice_is_told_once(chat, placed):
    await chat.receive(refunded(chat, placed, errors.FAILED_TIMEOUT))
    await chat.receive(refunded(chat, placed, errors.FAILED_TIMEOUT))

    assert len(await chat.deliveries("send")) == 1


async def test_missing_credits_are_named(chat, placed):
    await chat.receive(
        refused(chat, placed, errors.INSUFFICIENT_CREDITS, price_credits=10, available_credits=3)
    )

    (screen,) = await status(chat, placed)
    assert "7 credits are missing" in screen.text
    assert parse(screen.buttons[0][0].data) == TopUpFor(placed)


async def test_a_changed_price_is_asked_again_with_a_new_order_id(chat, placed):
    await chat.receive(refused(chat, placed, errors.PRICE_CHANGED, price_credits=12))

    ((key, asked),) = await chat.deliveries("send")
    again = parse(asked.buttons[0][0].data)
    assert asked.buttons[0][0].text == "✅ Confirm – 12 credits"
    assert again.order_id != placed
    assert key == keys.order(again.order_id)
    assert (await status(chat, placed))[-1].buttons == ()

    await chat.tap(pack(again))

    orders = await chat.emitted(billing.PlaceOrder)
    assert [(each.order_id, each.price_credits) for each in orders] == [
        (placed, 10),
        (again.order_id, 12),
    ]


async def test_a_refusal_that_comes_twice_asks_once(chat, placed):
    for _ in range(2):
        await chat.receive(refused(chat, placed, errors.PRICE_EXPIRED, price_credits=10))

    assert len(await chat.deliveries("send")) == 1


async def test_a_rejected_cancel_is_told(chat, placed):
    await chat.receive(
        billing.CommandRejected(
            command_subject=billing.CancelOrder.subject,
            command_id=placed,
            code=errors.ALREADY_FINISHED,
            user_id=chat.user_id,
            order_id=placed,
        )
    )

    assert "no longer be cancelled" in (await chat.deliveries("send"))[0][1].text


async def test_after_a_rejected_cancel_the_person_may_ask_again(chat, placed):
    """It met no order: the order's own command came later."""
    rejected = billing.CommandRejected(
        command_subject=billing.CancelOrder.subject,
        command_id=placed,
        code=errors.UNKNOWN_ORDER,
        user_id=chat.user_id,
        order_id=placed,
    )
    await chat.tap(pack(CancelOrder(placed)))
    await chat.receive(rejected)
    await chat.receive(accepted(chat, placed))

    await chat.tap(pack(CancelOrder(placed)))

    assert len(await chat.emitted(billing.CancelOrder)) == 2
    await chat.receive(completed(chat, placed))
    await chat.receive(rejected)  # of an order that is over: nothing is to be asked any more
    assert await chat.state_of(placed) == "completed"


async def test_rejected_operator_commands_are_not_told_to_anybody(chat, placed):
    await chat.receive(
        billing.CommandRejected(
            command_subject=billing.GrantCredits.subject,
            command_id=placed,
            code=errors.INVALID,
            user_id=chat.user_id,
        )
    )

    assert await chat.deliveries() == []


async def test_events_of_orders_that_no_screen_knows_do_no_harm(chat):
    from chassis.clock import new_id

    unknown = new_id()
    for event in (
        accepted(chat, unknown),
        started(chat, unknown),
        refunded(chat, unknown, errors.FAILED_NODE),
        refused(chat, unknown, errors.QUEUE_FULL),
        completed(chat, unknown),
    ):
        await chat.receive(event)

    assert [screen.media for _, screen in await chat.deliveries()] == [PICTURE]


async def test_queue_positions_are_shown_when_they_matter(chat, placed):
    await chat.receive(accepted(chat, placed))
    answers = [
        billing.QueuePosition(state="accepted", ahead=3, eta_seconds=40),
        billing.QueuePosition(state="accepted", ahead=3, eta_seconds=35),
        None,
        billing.QueuePosition(state="accepted", ahead=2, eta_seconds=30),
        billing.QueuePosition(state="running"),
    ]
    asked = iter(answers)

    async def ask(order_id):
        return next(asked) if order_id == placed else None

    shards = {generator.shard_of(chat.user_id)}
    refresher = PositionRefresher(chat.shop, chat.outbox, ask=ask, held=lambda: shards)

    changed = [await refresher.refresh() for _ in answers]

    assert changed == [1, 0, 0, 1, 0]
    assert "2 orders ahead of you" in (await status(chat, placed))[-1].text


async def test_positions_of_other_replicas_people_are_left_alone(chat, placed):
    await chat.receive(accepted(chat, placed))
    others = {(generator.shard_of(chat.user_id) + 1) % generator.SHARDS}

    async def ask(order_id):
        assert order_id != placed

    refresher = PositionRefresher(chat.shop, chat.outbox, ask=ask, held=lambda: others)

    assert await refresher.refresh() == 0
