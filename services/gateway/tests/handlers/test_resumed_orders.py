"""An order that too few credits stopped goes on by itself once it is paid for, and only once."""

from datetime import UTC, datetime
from uuid import uuid4

from chassis.clock import new_id
from contracts import billing, errors, payments
from contracts.ids import PaymentId, derived_id
from gateway.domain import keys
from gateway.domain.callbacks import ChooseWorkflow, ConfirmOrder, DismissOrder, pack, parse
from gateway.domain.purchase_buttons import TopUpFor

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCENE = "image.product_scene"


def credited(chat, payment_id, **changes):
    fields = {
        "charge_id": "stx1",
        "provider": "stars",
        "product": "pack",
        "product_id": "credits_100",
        "credits": 120,
        "amount_minor": 90,
        "currency": "XTR",
        "available_credits": 140,
    }
    return payments.PaymentCredited(
        payment_id=payment_id, user_id=chat.user_id, **{**fields, **changes}
    )


async def told(chat):
    return [screen.text for _, screen in await chat.deliveries("send")]


async def price_screen(chat):
    chat.billing[billing.GetPrice] = billing.Price(
        workflow_id=SCENE,
        catalogue_version=1,
        price_credits=10,
        base_price_credits=10,
        priced_at=NOW,
        available_credits=4,
    )
    media_id = await chat.send_photo()
    await chat.photo_arrives(media_id)
    screen = (await chat.tap(pack(ChooseWorkflow(media_id, SCENE))))[0].screen
    return parse(screen.buttons[0][0].data).order_id


async def orders(chat):
    return [each.order_id for each in await chat.emitted(billing.PlaceOrder)]


async def test_an_order_never_confirmed_goes_on_by_itself_once(chat):
    order_id = await price_screen(chat)
    payment_id = PaymentId(new_id())

    await chat.receive(credited(chat, payment_id, order_id=order_id))
    await chat.receive(credited(chat, payment_id, order_id=order_id, charge_id="stx2"))
    await chat.tap(pack(ConfirmOrder(order_id)))

    assert await orders(chat) == [order_id]


async def test_a_refused_order_goes_on_under_an_id_made_of_the_payment(chat):
    order_id = await price_screen(chat)
    await chat.tap(pack(ConfirmOrder(order_id)))
    await chat.receive(
        billing.OrderRefused(
            order_id=order_id,
            user_id=chat.user_id,
            code=errors.INSUFFICIENT_CREDITS,
            price_credits=10,
            available_credits=4,
        )
    )
    payment_id = PaymentId(new_id())

    await chat.receive(credited(chat, payment_id, order_id=order_id))
    await chat.receive(credited(chat, payment_id, order_id=order_id, charge_id="stx2"))

    again = derived_id(order_id, "after", payment_id)
    assert await orders(chat) == [order_id, again]
    assert await chat.state_of(again) == "placed"
    assert any(key == keys.order(again) for key, _ in await chat.deliveries("edit"))


async def test_an_order_refused_again_can_be_topped_up_again(chat):
    order_id = await price_screen(chat)
    payment_id = PaymentId(new_id())
    await chat.receive(credited(chat, payment_id, order_id=order_id))
    await chat.receive(
        billing.OrderRefused(
            order_id=order_id,
            user_id=chat.user_id,
            code=errors.INSUFFICIENT_CREDITS,
            price_credits=500,
            available_credits=140,
        )
    )

    refusal = dict(await chat.deliveries("edit"))[keys.order(order_id)]

    assert parse(refusal.buttons[0][0].data) == TopUpFor(order_id)


async def test_a_closed_order_does_not_go_on_and_that_is_said(chat):
    order_id = await price_screen(chat)
    payment_id = PaymentId(new_id())
    await chat.tap(pack(DismissOrder(order_id)))

    await chat.receive(credited(chat, payment_id, order_id=order_id))

    assert await orders(chat) == []
    assert "was closed meanwhile" in (await told(chat))[-1]


async def test_somebody_elses_order_never_goes_on(chat):
    order_id = await price_screen(chat)
    await chat.one(
        "UPDATE screens SET user_id = user_id + 1 WHERE order_id = $1 RETURNING 1", order_id
    )

    await chat.receive(credited(chat, new_id(), order_id=order_id))
    await chat.receive(credited(chat, new_id(), order_id=uuid4()))

    assert await chat.state_of(order_id) == "priced"
