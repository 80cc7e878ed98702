"""Somebody who owes is told how much, and what pays it, wherever something costs."""

from datetime import UTC, datetime

import pytest

from chassis.clock import new_id
from contracts import billing, errors
from contracts.access import AccessNotBought
from contracts.payments import GetOffers, Method, Offers, Pack, PlanRefused
from gateway.bot import texts
from gateway.domain import callbacks
from gateway.domain.callbacks import ChooseWorkflow, ConfirmOrder, OpenPage, pack, parse
from gateway.domain.purchase_buttons import TopUpFor
from gateway.domain.screens import plans, vpn_news

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCENE = "image.product_scene"
OFFERS = Offers(
    packs=(
        Pack(id="credits_100", credits=100, prices={"XTR": 90}),
        Pack(id="credits_300", credits=300, prices={"XTR": 270}),
    ),
    methods=(Method(provider="stars", currency="XTR"),),
    priced_at=NOW,
    debt_credits=180,
)


@pytest.fixture
async def priced(chat):
    """A price screen of 30 credits before somebody who owes 180; the order's id and the screen."""
    chat.billing[GetOffers] = OFFERS
    chat.billing[billing.GetPrice] = billing.Price(
        workflow_id=SCENE,
        catalogue_version=1,
        price_credits=30,
        base_price_credits=30,
        priced_at=NOW,
        debt_credits=180,
    )
    media_id = await chat.send_photo()
    await chat.photo_arrives(media_id)
    screen = (await chat.tap(pack(ChooseWorkflow(media_id, SCENE))))[0].screen
    taps = [parse(button.data) for row in screen.buttons for button in row]
    return next(each for each in taps if isinstance(each, ConfirmOrder)).order_id, screen


async def test_what_is_missing_counts_what_is_owed(chat, priced):
    order_id, shown = priced

    answers = await chat.tap(pack(TopUpFor(order_id)))

    packs = next(each.screen for each in answers if each.kind == "send")
    assert "Owed: 180 credits" in shown.text
    assert "Owed: 180 credits" in packs.text
    assert "210 credits more" in packs.text
    labels = [button.text for row in packs.buttons for button in row]
    assert labels[:2] == ["100 credits", "✅ 300 credits"]


async def test_a_refused_order_says_what_is_owed_and_what_pays_it(chat, priced):
    order_id, _ = priced
    await chat.tap(pack(ConfirmOrder(order_id)))

    await chat.receive(
        billing.OrderRefused(
            order_id=order_id, user_id=chat.user_id, code=errors.IN_DEBT, debt_credits=180
        )
    )

    text = (await chat.deliveries("edit"))[-1][1].text
    assert "You owe 180 credits" in text
    assert "210 credits pay both" in text


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_refused_plan_and_vpn_say_it_too(language):
    say = texts.load().say(language)
    about = {"order_id": new_id(), "user_id": 7, "code": errors.IN_DEBT}
    figures = {"debt_credits": 180, "price_credits": 300}

    for screen in (
        plans.refused(say, PlanRefused(**about, plan_id="vip_30", **figures)),
        vpn_news.not_bought(say, AccessNotBought(**about, plan_id="vpn_30", **figures)),
    ):
        assert say("refused-owing", credits=180) in screen.text
        assert say("refused-owing-all", credits=480) in screen.text
        assert parse(screen.buttons[0][0].data) == OpenPage(callbacks.TOP_UP, fresh=True)
