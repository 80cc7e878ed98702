"""Buying credits and plans, up to the one command that asks billing for it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts import billing, payments
from contracts.payments import (
    BuyPlan,
    CancelPayment,
    ChangeSubscription,
    CreatePayment,
    GetCharges,
    GetOffers,
    Method,
    Offers,
    Pack,
    Plan,
    Subscribed,
)
from gateway.domain.callbacks import ChooseWorkflow, ConfirmOrder, pack, parse
from gateway.domain.packed_ids import mark
from gateway.domain.purchase_buttons import (
    ChangeRenewals,
    ChoosePack,
    ChoosePlan,
    DropPayment,
    PayWith,
    TopUpFor,
)
from gateway.testing import OPERATORS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STARS = Method(provider="stars", currency="XTR")
CRYPTO = Method(provider="crypto_pay", currency="USD", exponent=2)
PACK = Pack(id="credits_300", credits=300, bonus_credits=30, prices={"XTR": 275, "USD": 549})
SMALL = Pack(id="credits_5", credits=5, prices={"XTR": 5})
VIP = Plan(id="vip_30", tier="vip", days=30, price_credits=300, stars=250)
SCENE = "image.product_scene"


def offers(**changes):
    fields = {
        "packs": (SMALL, PACK),
        "plans": (VIP,),
        "methods": (STARS, CRYPTO),
        "priced_at": NOW,
        "available_credits": 4,
    }
    return Offers(**{**fields, **changes})


@pytest.fixture(autouse=True)
def on_offer(chat):
    chat.billing[GetOffers] = offers()


def buttons(screen):
    return [button for row in screen.buttons for button in row]


def data_of(screen, kind):
    return [each.data for each in buttons(screen) if isinstance(parse(each.data), kind)]


def toasts(answers):
    return [answer.text for answer in answers if answer.kind == "toast"]


def edited(answers):
    return [answer.screen for answer in answers if answer.kind == "edit"][-1]


async def checkout(chat, tap=None):
    """The screen that asks how to pay."""
    return edited(await chat.tap(pack(tap or ChoosePack(PACK.id))))


async def test_topup_lists_packs_with_every_price(chat):
    (answer,) = await chat.send("/topup")

    assert "300 credits</b> and 30 on top – ⭐ 275 · 5.49 USD" in answer.screen.text
    assert "5 credits</b> – ⭐ 5" in answer.screen.text
    assert data_of(answer.screen, ChoosePack) == ["pk:1::credits_5", "pk:1::credits_300"]


async def test_billing_silent_means_try_again(chat):
    del chat.billing[GetOffers]

    (answer,) = await chat.send("/topup")
    tapped = await chat.tap(pack(ChoosePack(PACK.id)))

    assert "not answering" in answer.screen.text
    assert "not answering" in toasts(tapped)[0]


async def test_no_method_means_nothing_to_buy(chat):
    chat.billing[GetOffers] = offers(methods=())

    (answer,) = await chat.send("/topup")

    assert data_of(answer.screen, ChoosePack) == []
    assert "Nothing can be bought" in answer.screen.text


async def test_only_methods_with_a_price_are_offered(chat):
    shown = await checkout(chat, ChoosePack(SMALL.id))

    assert next(each.text for each in buttons(shown)) == "Telegram Stars – ⭐ 5"
    assert len(data_of(shown, PayWith)) == 1


async def test_every_method_that_is_switched_on_is_offered_in_its_currency(chat):
    rubles = Method(provider="yookassa", currency="RUB", exponent=2)
    priced = Pack(id="credits_300", credits=300, prices={"XTR": 275, "USD": 549, "RUB": 54_900})
    chat.billing[GetOffers] = offers(methods=(STARS, CRYPTO, rubles), packs=(priced,))

    (listed,) = await chat.send("/topup")
    shown = await checkout(chat)
    await chat.tap(data_of(shown, PayWith)[2])

    assert "⭐ 275 · 5.49 USD · 549.00 RUB" in listed.screen.text
    assert "Card (YooKassa) – 549.00 RUB" in [each.text for each in buttons(shown)]
    (asked,) = await chat.emitted(CreatePayment)
    assert (asked.provider, asked.amount_minor, asked.currency) == ("yookassa", 54_900, "RUB")


async def test_one_tap_or_five_is_one_payment(chat):
    stars, crypto = data_of(await checkout(chat), PayWith)

    answers = await chat.tap(stars)
    again = [await chat.tap(stars) for _ in range(4)]
    other = await chat.tap(crypto)

    (asked,) = await chat.emitted(CreatePayment)
    assert asked.payment_id.version == 7
    assert (asked.provider, asked.product_id) == ("stars", "credits_300")
    assert (asked.amount_minor, asked.currency, asked.order_id) == (275, "XTR", None)
    assert "Preparing" in edited(answers).text
    assert {toasts(each)[0] for each in (*again, other)} == {
        "Your payment is already being prepared."
    }


async def test_the_amount_asked_is_the_one_that_was_shown(chat):
    stars, _ = data_of(await checkout(chat), PayWith)
    dearer = Pack(id=PACK.id, credits=300, prices={"XTR": 999})
    chat.billing[GetOffers] = offers(packs=(dearer,))

    await chat.tap(stars)

    (asked,) = await chat.emitted(CreatePayment)
    assert asked.amount_minor == 275


async def test_a_payment_is_its_owners(chat):
    stars, _ = data_of(await checkout(chat), PayWith)

    answers = await chat.tap(stars, user_id=chat.user_id + 1)

    assert toasts(answers) == ["This button belongs to somebody else."]
    assert await chat.emitted(CreatePayment) == []


async def test_a_pack_that_is_gone_is_said(chat):
    answers = await chat.tap(pack(ChoosePack("credits_1")))

    assert toasts(answers) == ["This is no longer on offer. Please choose again."]


async def test_a_payment_can_be_dropped_once(chat):
    stars, _ = data_of(await checkout(chat), PayWith)
    await chat.tap(stars)
    payment_id = parse(stars).checkout_id

    answers = await chat.tap(pack(DropPayment(payment_id)))
    again = await chat.tap(pack(DropPayment(payment_id)))

    assert await chat.emitted(CancelPayment) == [
        CancelPayment(payment_id=payment_id, user_id=chat.user_id)
    ]
    assert "you get what you paid for" in edited(answers).text
    assert "is over" in toasts(again)[0]
    assert "is over" in toasts(await chat.tap(stars))[0]


async def short_of_credits(chat):
    """A price screen of somebody with too few credits; returns its order id and buttons."""
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
    (confirm,) = data_of(screen, ConfirmOrder)
    return parse(confirm).order_id, screen


async def test_too_few_credits_offer_to_top_up_and_continue(chat):
    order_id, screen = await short_of_credits(chat)

    assert buttons(screen)[0].text == "➕ Top up and continue"
    answers = await chat.tap(pack(TopUpFor(order_id)))

    packs = next(answer.screen for answer in answers if answer.kind == "send")
    assert "“Product scene” 6 credits more" in packs.text
    assert [each.text for each in buttons(packs)][:2] == ["5 credits", "✅ 300 credits + 30"]
    stars, _ = data_of(await checkout(chat, parse(data_of(packs, ChoosePack)[1])), PayWith)
    await chat.tap(stars)
    (asked,) = await chat.emitted(CreatePayment)
    assert asked.order_id == order_id


async def test_one_cannot_top_up_for_somebody_elses_order(chat):
    order_id, _ = await short_of_credits(chat)
    stranger = chat.user_id + 1

    first = await chat.tap(pack(TopUpFor(order_id)), user_id=stranger)
    second = await chat.tap(pack(ChoosePack(PACK.id, order_id)), user_id=stranger)

    assert toasts(first) == toasts(second) == ["This button belongs to somebody else."]


async def test_an_order_under_way_needs_no_top_up(chat):
    order_id, screen = await short_of_credits(chat)
    await chat.tap(data_of(screen, ConfirmOrder)[0])

    assert toasts(await chat.tap(pack(TopUpFor(order_id)))) == ["Already ordered."]
    assert toasts(await chat.tap(pack(TopUpFor(uuid4())))) == [
        "This button is out of date. Please use the menu."
    ]


async def test_vip_says_what_it_gives_and_costs(chat):
    (answer,) = await chat.send("/vip")

    text = answer.screen.text
    assert "no daily limits" in text
    assert "first in every queue" in text
    assert "VIP, 30 days – 300 credits, or ⭐ 250 as a subscription" in text
    assert data_of(answer.screen, ChoosePlan) == ["pl:1:vip_30"]


async def test_a_plan_is_bought_with_credits_once(chat):
    shown = await checkout(chat, ChoosePlan(VIP.id))
    credits_way, stars_way = data_of(shown, PayWith)

    await chat.tap(credits_way)
    await chat.tap(credits_way)
    await chat.tap(stars_way)

    (bought,) = await chat.emitted(BuyPlan)
    assert bought.order_id == parse(credits_way).checkout_id
    assert (bought.plan_id, bought.price_credits, bought.priced_at) == ("vip_30", 300, NOW)
    assert await chat.emitted(CreatePayment) == []
    assert "➕ Top up" in [each.text for each in buttons(shown)]


async def test_a_subscription_is_a_payment_in_stars(chat):
    _, stars_way = data_of(await checkout(chat, ChoosePlan(VIP.id)), PayWith)

    await chat.tap(stars_way)

    (asked,) = await chat.emitted(CreatePayment)
    assert (asked.provider, asked.product_id) == ("stars", "vip_30")
    assert (asked.amount_minor, asked.currency) == (250, "XTR")


async def test_without_stars_a_plan_costs_credits_only(chat):
    chat.billing[GetOffers] = offers(methods=(CRYPTO,))

    assert len(data_of(await checkout(chat, ChoosePlan(VIP.id)), PayWith)) == 1


@pytest.mark.parametrize(
    ("state", "stop", "words"),
    [("active", True, "renewed on"), ("cancelled", False, "ends on")],
)
async def test_renewals_are_stopped_and_resumed(chat, state, stop, words):
    charge = "stx" + "c" * 100
    running = Subscribed(
        charge_id=charge, plan_id="vip_30", state=state, until=NOW + timedelta(days=3)
    )
    chat.billing[GetOffers] = offers(subscriptions=(running,))
    (answer,) = await chat.send("/vip")
    (button,) = data_of(answer.screen, ChangeRenewals)

    answers = await chat.tap(button)
    wrong = await chat.tap(pack(ChangeRenewals(mark(charge), cancelled=not stop)))

    assert words in answer.screen.text
    # The other wish too: the first is still under way, and the last one is what they want.
    assert await chat.emitted(ChangeSubscription) == [
        ChangeSubscription(user_id=chat.user_id, charge_id=charge, cancelled=wish)
        for wish in (stop, not stop)
    ]
    assert toasts(answers) == ["Asking Telegram…"]
    assert toasts(wrong) == ["It is so already."]


async def test_paysupport_lists_the_charges_and_whom_to_ask(chat):
    line = payments.ChargeLine(
        charge_id="stx<1>",
        provider="stars",
        product_id="credits_300",
        amount_minor=275,
        currency="XTR",
        credits=330,
        state="refunded",
        paid_at=NOW,
    )
    chat.billing[GetCharges] = payments.Charges(charges=(line,))

    (answer,) = await chat.send("/paysupport")

    assert "⭐ 275, +330 (Telegram Stars), given back <code>stx&lt;1&gt;</code>" in (
        answer.screen.text
    )
    assert "@support" in answer.screen.text


async def test_paysupport_answers_without_billing_too(chat):
    (answer,) = await chat.send("/paysupport")

    assert "cannot be listed" in answer.screen.text
    assert "@support" in answer.screen.text


async def test_a_question_about_money_reaches_the_operators(chat):
    (answer,) = await chat.send("/paysupport where are my <credits>?")

    chat.user_id, person = OPERATORS, chat.user_id
    assert "Passed on" in answer.screen.text
    assert [
        screen.text for _, screen in await chat.deliveries("send") if str(person) in screen.text
    ] == [f"💬 User {person} asks about money: where are my &lt;credits&gt;?"]


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_every_purchase_screen_is_there_in_both_languages(chat, language):
    chat.language_code = language
    running = Subscribed(charge_id="a", plan_id="gone", state="active", until=NOW)
    chat.billing[GetOffers] = offers(subscriptions=(running,))
    order_id, _ = await short_of_credits(chat)

    for command in ("/topup", "/vip", "/paysupport", "/terms"):
        (answer,) = await chat.send(command)
        assert answer.screen.text
    assert await chat.tap(pack(TopUpFor(order_id)))
    for tap in (ChoosePack(PACK.id), ChoosePack(SMALL.id), ChoosePlan(VIP.id)):
        (first, *_) = data_of(await checkout(chat, tap), PayWith)
        assert edited(await chat.tap(first)).text
