"""What people are told about money, and how an order that waited for it goes on."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from chassis.clock import new_id
from contracts import billing, errors, gateway, operators, payments
from contracts.payments import GetOffers, Method, Offers, Pack, Plan
from gateway.domain import keys
from gateway.domain.callbacks import pack, parse
from gateway.domain.purchase_buttons import ChoosePack, ChoosePlan, DropPayment, PayWith
from gateway.domain.screen import Screen
from gateway.testing import OPERATORS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNTIL = datetime(2026, 12, 21, 12, tzinfo=UTC)
SCENE = "image.product_scene"
OFFERS = Offers(
    packs=(Pack(id="credits_100", credits=100, bonus_credits=20, prices={"XTR": 90, "USD": 199}),),
    plans=(Plan(id="vip_30", tier="vip", days=30, price_credits=300, stars=250),),
    methods=(
        Method(provider="stars", currency="XTR"),
        Method(provider="crypto_pay", currency="USD", exponent=2),
    ),
    priced_at=NOW,
)


async def asked(chat, choice=None, *, way=0):
    """Somebody tapped a way to pay; returns the payment's id."""
    chat.billing[GetOffers] = OFFERS
    answers = await chat.tap(pack(choice or ChoosePack("credits_100")))
    screen = next(each.screen for each in answers if each.kind == "edit" and each.screen)
    ways = [b.data for row in screen.buttons for b in row if isinstance(parse(b.data), PayWith)]
    await chat.tap(ways[way])
    return parse(ways[way]).checkout_id


@pytest.fixture
async def payment(chat):
    return await asked(chat)


def created(chat, payment_id, **changes):
    fields = {
        "provider": "stars",
        "product": "pack",
        "product_id": "credits_100",
        "credits": 120,
        "amount_minor": 90,
        "currency": "XTR",
        "invoice_payload": "sealed",
        "expires_at": NOW,
    }
    return payments.PaymentCreated(
        payment_id=payment_id, user_id=chat.user_id, **{**fields, **changes}
    )


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


async def status(chat, payment_id) -> Screen:
    found = [screen for key, screen in await chat.deliveries("edit")]
    assert found, payment_id
    return found[-1]


async def told(chat):
    return [screen.text for _, screen in await chat.deliveries("send")]


async def test_a_stars_payment_becomes_an_invoice(chat, payment):
    await chat.receive(created(chat, payment))

    shown = await status(chat, payment)
    ((key, screen),) = await chat.deliveries("send")
    assert "⭐ 90" in shown.text
    assert "until Nov 21, 15:00" in shown.text
    assert parse(shown.buttons[0][0].data) == DropPayment(payment)
    assert key == keys.invoice(payment)
    assert screen.invoice is not None
    assert (screen.invoice.title, screen.invoice.amount) == ("120 credits", 90)
    assert screen.invoice.payload == "sealed"
    assert screen.invoice.start_parameter
    assert not screen.invoice.subscription_seconds


async def test_an_invoice_that_comes_twice_is_sent_once(chat, payment):
    await chat.receive(created(chat, payment))
    await chat.receive(created(chat, payment))

    assert len(await chat.deliveries("send")) == 1


async def test_a_subscription_is_a_button(chat):
    payment_id = await asked(chat, ChoosePlan("vip_30"), way=1)

    await chat.receive(
        created(
            chat, payment_id, product="plan", product_id="vip_30", credits=0, subscription_days=30
        )
    )

    shown = await status(chat, payment_id)
    assert await chat.deliveries("send") == []
    assert "VIP, 30 days</b> for ⭐ 90" in shown.text
    assert shown.invoice.subscription_seconds == 2_592_000
    assert shown.invoice.button == "💸 Pay ⭐ 90"


async def test_elsewhere_it_is_a_link_with_its_end(chat):
    payment_id = await asked(chat, way=1)
    url = "https://pay.example/invoice"

    await chat.receive(
        created(
            chat,
            payment_id,
            provider="crypto_pay",
            amount_minor=199,
            currency="USD",
            pay_url=url,
            invoice_payload="",
        )
    )

    shown = await status(chat, payment_id)
    assert "1.99 USD</b> by Crypto Pay" in shown.text
    assert shown.buttons[0][0].url == url
    assert parse(shown.buttons[1][0].data) == DropPayment(payment_id)


async def test_a_dropped_payment_is_not_offered_any_more(chat, payment):
    await chat.tap(pack(DropPayment(payment)))

    await chat.receive(created(chat, payment))

    assert await chat.deliveries() == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errors.PROVIDER_FAILED, "did not answer"),
        (errors.PROVIDER_OFF, "switched off"),
        (errors.EXPIRED, "not paid in time"),
        (errors.PRICE_CHANGED, "price has changed"),
        (errors.ALREADY_SUBSCRIBED, "already have a subscription"),
        ("something new", "did not come about"),
    ],
)
async def test_a_failed_payment_says_why_and_that_nothing_was_charged(chat, payment, code, words):
    await chat.receive(
        payments.PaymentFailed(
            payment_id=payment, user_id=chat.user_id, provider="stars", code=code
        )
    )

    shown = await status(chat, payment)
    assert words in shown.text
    assert "You were not charged." in shown.text


async def test_dropping_it_oneself_is_not_told_again(chat, payment):
    await chat.tap(pack(DropPayment(payment)))

    await chat.receive(
        payments.PaymentFailed(
            payment_id=payment, user_id=chat.user_id, provider="stars", code=errors.CANCELLED
        )
    )

    assert await chat.deliveries() == []


async def test_credited_money_says_all_that_it_did(chat, payment):
    await chat.receive(credited(chat, payment, debt_paid_credits=3, late=True))

    (news,) = await told(chat)
    assert "Paid: ⭐ 90." in news
    assert "+120 credits" in news
    assert "20 credits of it on top" in news
    assert "3 credits of it paid what you owed." in news
    assert "counts all the same" in news
    assert "You have 140 credits." in news
    assert (await status(chat, payment)).text == "✅ Paid: ⭐ 90."


async def test_a_renewal_says_until_when(chat):
    payment_id = await asked(chat, ChoosePlan("vip_30"), way=1)
    plan = {"product": "plan", "product_id": "vip_30", "credits": 0, "tier": "vip"}

    await chat.receive(credited(chat, payment_id, **plan, until=NOW))
    await chat.receive(credited(chat, payment_id, **plan, until=UNTIL, recurring=True))

    first, renewal = await told(chat)
    assert "<b>VIP</b> until Nov 21" in first
    assert "<b>VIP</b> is renewed until Dec 21" in renewal
    assert "+" not in first


async def test_a_payment_without_a_screen_of_ours_is_told_too(chat):
    await chat.send("/start")

    await chat.receive(credited(chat, new_id()))

    assert len(await told(chat)) == 1


# Plans.


async def test_a_bought_plan_says_until_when(chat):
    order_id = await asked(chat, ChoosePlan("vip_30"))

    await chat.receive(
        payments.PlanBought(
            order_id=order_id,
            user_id=chat.user_id,
            plan_id="vip_30",
            tier="vip",
            until=UNTIL,
            charged_credits=300,
            available_credits=1,
        )
    )

    text = (await status(chat, order_id)).text
    assert "VIP</b> is yours until Dec 21" in text
    assert "You have 1 credit." in text


@pytest.mark.parametrize(
    ("code", "words", "first"),
    [
        (errors.INSUFFICIENT_CREDITS, "296 credits are missing", "m:1:topup+"),
        (errors.PRICE_CHANGED, "it is 300 credits now", "m:1:vip+"),
        (errors.HIGHER_TIER_ACTIVE, "Black Gold is running", "m:1:vip+"),
        ("something new", "could not be bought", "m:1:vip+"),
    ],
)
async def test_a_refused_plan_says_why_and_what_helps(chat, code, words, first):
    order_id = await asked(chat, ChoosePlan("vip_30"))

    await chat.receive(
        payments.PlanRefused(
            order_id=order_id,
            user_id=chat.user_id,
            plan_id="vip_30",
            code=code,
            price_credits=300,
            available_credits=4,
        )
    )

    shown = await status(chat, order_id)
    assert words in shown.text
    assert "not charged" in shown.text
    assert shown.buttons[0][0].data == first


# Everything else that is told, in both languages.


def everything(chat):
    about = {"user_id": chat.user_id, "charge_id": "c<1>", "provider": "crypto_pay"}
    money = {"amount_minor": 199, "currency": "USD"}
    return [
        (payments.PaymentHeld(**about, **money, code=errors.WRONG_AMOUNT), "1.99 USD"),
        (payments.ChargeRefunded(**about, **money, taken_credits=5, debt_credits=2), "1.99 USD"),
        (payments.ChargeRefunded(**about, **money, taken_credits=0, charged_back=True), "1.99"),
        (payments.RefundRefused(**about, code="no"), "c&lt;1&gt;"),
        (
            payments.SubscriptionChanged(
                user_id=chat.user_id,
                charge_id="c",
                plan_id="vip_30",
                state="cancelled",
                until=UNTIL,
            ),
            "21",
        ),
        (
            operators.CreditsAdjusted(
                adjustment_id=uuid4(),
                user_id=chat.user_id,
                credits=-5,
                debt_credits=1,
                reason="a <mistake>",
                actor="a",
            ),
            "&lt;mistake&gt;",
        ),
        (
            operators.OrderCreditedBack(
                refund_id=uuid4(),
                order_id=new_id(),
                user_id=chat.user_id,
                workflow_id="vpn_30",
                credits=100,
                debt_paid_credits=7,
                left_credits=50,
                available_credits=93,
                reason="it <never> worked",
                actor="a",
            ),
            "&lt;never&gt;",
        ),
        (
            billing.CommandRejected(
                command_subject=payments.CreatePayment.subject,
                command_id=new_id(),
                code=errors.PRICE_CHANGED,
                user_id=chat.user_id,
            ),
            "/topup",
        ),
    ]


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_everything_about_money_is_told_in_both_languages(chat, language):
    chat.language_code = language
    await chat.send("/start")

    for event, words in everything(chat):
        before = len(await told(chat))
        await chat.receive(event)
        texts = await told(chat)
        assert len(texts) == before + 1, event
        assert words in texts[-1]


async def test_held_money_and_alarms_reach_the_operators(chat):
    await chat.receive(
        payments.PaymentHeld(
            charge_id="c",
            user_id=chat.user_id,
            provider="crypto_pay",
            code=errors.WRONG_AMOUNT,
            amount_minor=199,
            currency="USD",
        )
    )
    await chat.receive(
        payments.ProviderAlarmed(provider="crypto_pay", code=errors.TOKEN_REFUSED, detail="<x>")
    )

    chat.user_id, person = OPERATORS, chat.user_id
    texts = (await told(chat))[-2:]
    assert f"of user {person} by crypto_pay (wrong_amount)" in texts[0]
    assert "token_refused. &lt;x&gt;" in texts[1]


async def test_commands_about_stars_become_effects(chat):
    for command in (
        gateway.RefundStars(user_id=chat.user_id, charge_id="stx"),
        gateway.EditStarsSubscription(user_id=chat.user_id, charge_id="stx", cancelled=True),
        gateway.ReadStarsStatement(due_at=datetime.now(UTC)),
    ):
        kind = command.subject.split(".")[2]
        before = await chat.one("SELECT count(*) FROM effects WHERE kind = $1", kind)
        await chat.receive(command)
        assert await chat.one("SELECT count(*) FROM effects WHERE kind = $1", kind) == before + 1
