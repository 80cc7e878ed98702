"""What screens say about money that moved: debts, plans, refunds, payments."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from contracts import billing
from contracts.payments import ChargeLine, Offers, PaymentCredited, Plan, Subscribed
from gateway.bot import texts
from gateway.domain.screens import account, outcome, payment, plans

TEXTS = texts.load()
ORDER = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
NOW = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.fixture(params=["en", "ru"])
def say(request):
    return TEXTS.say(request.param)


@pytest.mark.parametrize(
    ("moved", "debt", "line"),
    [
        (0, 100, "<b>+100</b> · bought · Nov 21, 23:30 · 100 of it paid what you owed"),
        (70, 30, "<b>+100</b> · bought · Nov 21, 23:30 · 30 of it paid what you owed"),
        (-70, -30, "<b>−100</b> · bought · Nov 21, 23:30 · 30 of it is owed now"),
    ],
)
def test_history_says_what_was_for_a_debt(moved, debt, line):
    entry = billing.HistoryEntry(
        at=NOW,
        kind="grant",
        credits=moved,
        amount_credits=100,
        reason="payment",
        debt_credits=debt,
    )
    page = billing.History(entries=(entry,))

    screen = account.history(TEXTS.say("en"), page, titles={}, zone=MOSCOW, newest=True)

    assert line in screen.text


def test_what_paid_a_debt_is_not_said_to_be_back():
    def text(returned, debt_paid):
        event = billing.OrderRefunded(
            order_id=ORDER,
            user_id=7,
            workflow_id="image.x",
            returned_credits=returned,
            reason="failed",
            debt_paid_credits=debt_paid,
        )
        return outcome.refunded(TEXTS.say("en"), event, None, "X").text

    assert "6 credits are back.\n4 credits that had been reserved paid" in text(10, 4)
    assert "back" not in text(10, 10)
    assert "You were not charged.\n10 credits that had been" in text(10, 10)


def test_history_names_a_plan_its_refund_and_what_was_free(say):
    plan = {"at": NOW, "credits": 0, "amount_credits": 0, "tier": "vip", "days": 30}
    entries = (
        billing.HistoryEntry(**plan, kind="plan"),
        billing.HistoryEntry(
            **plan, kind="refund", amount_minor=250, currency="XTR", taken_days=23
        ),
        billing.HistoryEntry(at=NOW, kind="free", credits=0, amount_credits=0, percent=100),
    )

    screen = account.history(
        say, billing.History(entries=entries), titles={}, zone=MOSCOW, newest=True
    )

    named = say("plan-name", tier="VIP", days=30)
    bought, refunded, free = screen.text.splitlines()[2:]
    assert named in bought
    assert f"↩️ <b>{named}</b>" in refunded
    assert "⭐ 250" in refunded
    assert "23" in refunded
    assert "100" in free
    assert ("free" in free) or ("бесплатно" in free)


def test_two_subscriptions_have_two_buttons_that_differ(say):
    offers = Offers(
        plans=(
            Plan(id="vip_30", tier="vip", days=30, price_credits=300, stars=250),
            Plan(id="black_gold_30", tier="black_gold", days=30, price_credits=900, stars=750),
        ),
        subscriptions=tuple(
            Subscribed(charge_id=plan_id, plan_id=plan_id, state="active", until=NOW)
            for plan_id in ("vip_30", "black_gold_30")
        ),
    )

    screen = plans.plans(say, offers, MOSCOW)

    labels = [row[0].text for row in screen.buttons[2:4]]
    assert labels == [
        say("button-stop-renewals", plan=say("plan-name", tier=name, days=30))
        for name in ("VIP", "Black Gold")
    ]


def test_a_renewal_under_a_higher_tier_says_which_one_got_the_days(say):
    event = PaymentCredited(
        payment_id=ORDER,
        charge_id="x",
        user_id=7,
        provider="stars",
        product="plan",
        product_id="vip_30",
        credits=0,
        amount_minor=250,
        currency="XTR",
        available_credits=0,
        recurring=True,
        tier="vip",
        until=NOW,
        added_to="black_gold",
        added_days=10,
    )

    text = payment.credited(say, event, MOSCOW, bonus=0).text

    assert "<b>Black Gold</b>" in text
    assert "10" in text
    assert "<b>VIP</b>" not in text


def charge_line(**changes):
    fields = {
        "charge_id": "x",
        "provider": "stars",
        "product_id": "vip_30",
        "amount_minor": 250,
        "currency": "XTR",
        "credits": 0,
        "state": "paid",
        "paid_at": NOW,
    }
    return ChargeLine(**{**fields, **changes})


def test_payments_are_named_as_people_know_them(say):
    lines = (
        charge_line(tier="vip", days=30),
        charge_line(product_id="credits_100", pack_credits=120, state="review"),
        charge_line(product_id="gone_30", tier="black_gold"),
        charge_line(product_id="gone_100"),
    )

    text = payment.support(say, lines, MOSCOW, contact="@us", read_here=False).text

    assert f"⭐ 250, {say('plan-name', tier='VIP', days=30)} (" in text
    assert f"⭐ 250, {say('amount', credits=120)} (" in text
    assert "⭐ 250, Black Gold (" in text
    assert f"⭐ 250, {say('paysupport-unnamed')} (" in text
    assert not any(each.product_id in text for each in lines)


@pytest.mark.parametrize(
    ("contact", "read_here", "reachable"),
    [("@us", False, True), ("", True, True), ("", False, False)],
)
def test_support_promises_help_only_where_somebody_reads(say, contact, read_here, reachable):
    text = payment.support(say, (), MOSCOW, contact=contact, read_here=read_here).text

    assert (say("paysupport-telegram") in text) == reachable
    assert ("GATEWAY_SUPPORT_CONTACT" in text) == (not reachable)


def test_the_terms_do_not_say_that_a_packs_bonus_expires():
    assert "Trial and bonus credits expire" not in TEXTS.say("en")("terms")
    assert "the bonus of a pack, do not" in TEXTS.say("en")("terms")
    assert "бонус к пакету – нет" in TEXTS.say("ru")("terms")
