"""Invoices: what is refused, what each step records, when a provider is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from billing.domain import payments
from billing.domain.errors import AlreadyFinishedError, NotYoursError, PaymentRefusedError
from billing.domain.offers import Offers, Tender
from billing.domain.payments import Payment
from chassis.clock import new_id
from contracts.payments import CreatePayment, Pack, Plan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
OFFERS = Offers(
    {"credits_300": Pack(id="credits_300", credits=300, bonus_credits=30, prices={"USD": 275})},
    {
        "vip_30": Plan(id="vip_30", tier="vip", days=30, price_credits=300, stars=250),
        "vip_90": Plan(id="vip_90", tier="vip", days=90, price_credits=800),
    },
    {"stars": Tender("XTR"), "crypto_pay": Tender("USD")},
)
ON = frozenset({"stars", "crypto_pay"})


def command(**fields):
    values = {
        "payment_id": new_id(),
        "user_id": 7,
        "provider": "crypto_pay",
        "product_id": "credits_300",
        "amount_minor": 275,
        "currency": "USD",
        "order_id": new_id(),
    }
    return CreatePayment(**{**values, **fields})


def subscription(**fields):
    values = {"provider": "stars", "product_id": "vip_30", "amount_minor": 250, "currency": "XTR"}
    return command(**{**values, **fields})


def invoice(**fields):
    made = payments.create(command(), OFFERS, ON, NOW)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_an_invoice_for_a_pack_carries_its_credits():
    asked = command()

    assert payments.create(asked, OFFERS, ON, NOW) == Payment(
        payment_id=asked.payment_id,
        user_id=7,
        provider="crypto_pay",
        product="pack",
        product_id="credits_300",
        credits=300,
        bonus_credits=30,
        amount_minor=275,
        currency="USD",
        created_at=NOW,
        order_id=asked.order_id,
        state="created",
        version=1,
    )
    assert payments.create(asked, OFFERS, ON, NOW).all_credits == 330


def test_an_invoice_for_a_plan_is_a_subscription_without_credits():
    made = payments.create(subscription(), OFFERS, ON, NOW)

    assert (made.product, made.product_id, made.amount_minor) == ("plan", "vip_30", 250)
    assert (made.credits, made.bonus_credits, made.all_credits) == (0, 0, 0)
    assert made.subscription_days == 30
    assert invoice().subscription_days == 0, "a pack is paid once"
    for provider in ("crypto_pay", "yookassa"):
        other = invoice(product="plan", provider=provider)
        assert other.subscription_days == 0, "only Telegram renews"


@pytest.mark.parametrize(
    ("asked", "on", "code"),
    [
        (command(provider="paypal"), ON, "provider_off"),
        (command(provider="paypal"), frozenset({"paypal"}), "provider_off"),
        (command(), frozenset({"stars"}), "provider_off"),
        (command(currency="EUR"), ON, "wrong_currency"),
        (command(product_id="credits_1"), ON, "unknown_product"),
        (command(provider="stars", currency="XTR"), ON, "unknown_product"),
        (subscription(provider="crypto_pay", currency="USD"), ON, "unknown_product"),
        (subscription(product_id="vip_90"), ON, "unknown_product"),
        (subscription(product_id="vip_1"), ON, "unknown_product"),
        (command(amount_minor=274), ON, "price_changed"),
        (subscription(amount_minor=251), ON, "price_changed"),
    ],
)
def test_what_is_not_on_offer_gets_no_invoice(asked, on, code):
    with pytest.raises(PaymentRefusedError) as refused:
        payments.create(asked, OFFERS, on, NOW)

    assert refused.value.code == code


@pytest.mark.parametrize(
    "changed",
    [
        {"user_id": 8},
        {"provider": "stars"},
        {"product_id": "vip_30"},
        {"amount_minor": 1},
        {"currency": "EUR"},
        {"order_id": None},
    ],
)
def test_one_id_is_one_invoice_for_one_thing(changed):
    asked = command()
    made = payments.create(asked, OFFERS, ON, NOW)

    assert payments.is_same(made, asked)
    assert not payments.is_same(made, replace(asked, **changed))


def test_an_invoice_the_provider_knows_can_be_paid():
    made = invoice()

    assert payments.offer_to_pay(made, "ref", "link", NOW + HOUR)
    assert (made.state, made.version) == ("pending", 2)
    assert (made.provider_ref, made.pay_url, made.expires_at) == ("ref", "link", NOW + HOUR)


def test_an_invoice_that_was_cancelled_meanwhile_stays_so_but_is_known():
    made = invoice(state="cancelled")

    assert not payments.offer_to_pay(made, "ref", "link", None)
    assert (made.state, made.version, made.provider_ref) == ("cancelled", 2, "ref")


@pytest.mark.parametrize("state", ["created", "pending"])
def test_an_open_invoice_ends_unpaid_once(state):
    made = invoice(state=state)

    assert payments.end_unpaid(made, payments.EXPIRED, "expired")
    assert not payments.end_unpaid(made, payments.FAILED, "provider_failed")
    assert (made.state, made.reason, made.version) == ("expired", "expired", 2)


def test_a_payer_cancels_their_own_open_invoice_once():
    made = invoice()

    with pytest.raises(NotYoursError):
        payments.cancel(made, 8)
    assert made.state == "created"
    payments.cancel(made, 7)
    payments.cancel(made, 7)

    assert (made.state, made.reason, made.version) == ("cancelled", "cancelled", 2)


@pytest.mark.parametrize("state", ["paid", "expired", "failed"])
def test_an_invoice_that_ended_otherwise_is_not_cancelled(state):
    made = invoice(state=state)

    with pytest.raises(AlreadyFinishedError):
        payments.cancel(made, 7)

    assert (made.state, made.version) == (state, 1)


@pytest.mark.parametrize(
    ("state", "late"),
    [
        ("created", False),
        ("pending", False),
        ("expired", True),
        ("cancelled", True),
        ("failed", True),
    ],
)
def test_money_is_taken_whenever_it_comes(state, late):
    made = invoice(state=state, check_due_at=NOW)

    assert payments.mark_paid(made) is late
    assert (made.state, made.version, made.check_due_at) == ("paid", 2, None)


def test_money_for_a_paid_invoice_tells_nothing_new():
    made = invoice(state="paid", check_due_at=NOW)

    assert payments.mark_paid(made) is False
    assert (made.version, made.check_due_at) == (1, None)


def test_an_invoice_without_an_end_is_asked_about_for_two_days():
    made = invoice(provider_ref="1", state="pending")
    end = NOW + 48 * HOUR

    assert payments.next_check(made, end - TICK) is not None
    assert payments.next_check(made, end) is None


def test_an_invoice_is_asked_about_once_right_after_its_end():
    after = NOW + HOUR
    made = invoice(provider_ref="1", state="pending", expires_at=after - timedelta(seconds=5))

    def asked_at(seconds):
        return payments.next_check(made, NOW + timedelta(seconds=seconds))

    assert asked_at(10) == NOW + timedelta(seconds=40)
    assert asked_at(3_192) == NOW + timedelta(seconds=3_591)
    assert [asked_at(each) for each in (3_208, 3_599)] == [after, after]
    assert asked_at(3_600) == after + timedelta(seconds=450)


def test_an_invoice_is_asked_about_a_day_after_its_end():
    made = invoice(provider_ref="1", state="pending", expires_at=NOW + HOUR)

    assert payments.next_check(made, NOW + 25 * HOUR - TICK) is not None
    assert payments.next_check(made, NOW + 25 * HOUR) is None


@pytest.mark.parametrize(
    ("state", "reason", "asked"),
    [
        ("failed", "provider_failed", True),
        ("failed", "invalid", False),
        ("cancelled", "provider_failed", False),
        ("created", "", False),
    ],
)
def test_an_invoice_nobody_knows_to_exist_is_asked_about(state, reason, asked):
    made = invoice(state=state, reason=reason)

    assert (payments.next_check(made, NOW) is not None) is asked
