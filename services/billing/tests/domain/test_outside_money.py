"""Currencies, sealed payloads, offers, when to ask again: the small rules of outside money."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.adapters import shop_file
from billing.domain import payments
from billing.domain.currencies import to_minor, to_text
from billing.domain.errors import InvalidError
from billing.domain.invoice_payload import BYTES_MAX, Seal
from billing.domain.payments import Payment
from chassis.clock import new_id
from chassis.errors import ConfigurationError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CATALOGUE = Path(__file__).parents[4] / "catalogue"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("4.99", "USD", 499),
        ("4.9", "USD", 490),
        ("5", "XTR", 5),
        ("0.00000001", "BTC", 1),
        ("1.5", "USDT", 1_500_000),
        ("4.990", "USD", 499),
        ("1e2", "USD", 10_000),
    ],
)
def test_an_amount_becomes_minor_units_exactly(text, currency, minor):
    assert to_minor(text, currency) == minor
    assert to_minor(to_text(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("4.999", "USD"),
        ("0.5", "XTR"),
        ("-1", "USD"),
        ("NaN", "USD"),
        ("Infinity", "USD"),
        ("", "USD"),
        ("4,99", "USD"),
        ("1e40", "USD"),
        ("1", "DOGE"),
    ],
)
def test_what_is_no_amount_is_refused(text, currency):
    with pytest.raises(InvalidError):
        to_minor(text, currency)


def payment(**fields):
    values = {"user_id": 7, "product_id": "credits_300", "amount_minor": 275, **fields}
    return Payment(
        new_id(),
        values["user_id"],
        "stars",
        "pack",
        values["product_id"],
        300,
        30,
        values["amount_minor"],
        "XTR",
        NOW,
    )


def test_a_sealed_payload_says_what_was_sealed():
    seal = Seal("secret")
    largest = payment(user_id=2**63 - 1, product_id="x" * 32, amount_minor=10**9)

    for each in (payment(), largest):
        payload = seal.sign(each)
        opened = seal.open(payload)

        assert len(payload.encode()) <= BYTES_MAX
        assert opened == (
            each.payment_id,
            each.user_id,
            each.amount_minor,
            "XTR",
            each.product_id,
        )


def test_a_payload_that_was_touched_anywhere_is_not_ours():
    seal = Seal("secret")
    payload = seal.sign(payment())

    for place in range(len(payload)):
        other = "x" if payload[place] != "x" else "y"
        assert seal.open(payload[:place] + other + payload[place + 1 :]) is None
    for foreign in ("", ".", "1.2.3", payload + "x", payload[:-1], "é" * 40, "x" * 500):
        assert seal.open(foreign) is None
    assert Seal("other").open(payload) is None


def test_a_former_secret_still_opens_what_it_sealed():
    payload = Seal("old").sign(payment())

    assert Seal("new", ("old",)).open(payload) is not None
    assert Seal("new").open(payload) is None


def test_providers_are_asked_ever_more_seldom_but_at_the_end():
    open_ = replace(payment(), provider="crypto_pay", provider_ref="1")
    open_.expires_at = NOW + timedelta(hours=1)

    def wait(after):
        now = NOW + after
        due = payments.next_check(open_, now)
        return due - now if due is not None else None

    assert wait(timedelta(seconds=10)) == timedelta(seconds=30)
    assert wait(timedelta(minutes=16)) == timedelta(minutes=2)
    assert wait(timedelta(minutes=58)) == timedelta(minutes=2, seconds=5)
    assert wait(timedelta(hours=20)) == timedelta(minutes=15)
    assert wait(timedelta(hours=25)) is None


def test_what_is_paid_or_never_left_us_is_not_asked_about():
    paid = replace(payment(), provider="crypto_pay", provider_ref="1", state="paid")

    assert payments.next_check(paid, NOW) is None
    assert payments.next_check(replace(payment(), provider="crypto_pay"), NOW) is None
    assert payments.next_check(replace(payment(), provider_ref="1"), NOW) is None


# --- shop.toml ---------------------------------------------------------------------------------


def test_the_shop_that_is_shipped_is_sound():
    shop = shop_file.load(CATALOGUE)

    assert set(shop.offers.packs) == {"credits_100", "credits_300", "credits_1000"}
    assert {plan.tier for plan in shop.offers.plans.values()} == {"vip", "black_gold"}
    assert shop.offers.tenders["stars"].currency == "XTR"


def test_without_a_file_nothing_is_on_offer(tmp_path):
    assert shop_file.load(tmp_path) == shop_file.Shop()


PACK = '[[packs]]\nid = "a"\ncredits = 1\n'
PLAN = '[[plans]]\nid = "p"\ntier = "vip"\ndays = 30\nprice_credits = 5\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("packs = 1", "packs"),
        ("colour = 1", "colour: is not known"),
        (PACK + "colour = 1", r"packs\[0\].colour: is not known"),
        (PACK.replace('"a"', '"A"'), "id: lower case"),
        (PACK + PACK, "id: stands twice"),
        (PACK + PLAN.replace('"p"', '"a"'), "id: stands twice"),
        (PACK.replace("1", "0"), "credits: at least 1"),
        (PACK.replace("1", '"x"'), r"packs\[0\]: Expected `int`"),
        (PACK + "prices = { GBP = 1 }", "GBP is not known"),
        (PACK + "prices = { USD = 0 }", "prices.USD: must be above 0"),
        (PLAN.replace("vip", "gold"), "tier: gold cannot be sold"),
        (PLAN.replace("vip", "none"), "tier: none cannot be sold"),
        (PLAN.replace("30", "0"), "days, price_credits"),
        (PLAN.replace("30", "31") + "stars = 1", "every 30 days only"),
        (PLAN + "stars = 10001", "stars: 0 to 10000"),
        ('[methods.stars]\ncurrency = "USD"', "XTR is for stars"),
        ('[methods.crypto_pay]\ncurrency = "XTR"', "XTR is for stars"),
        ('[methods.crypto_pay]\ncurrency = "GBP"', "GBP is not known"),
        ("[methods]\nstars = 1", "methods.stars: must be a table"),
        ("[[packs", "shop.toml"),
    ],
)
def test_a_mistake_is_refused_with_field_and_reason(tmp_path, text, reason):
    (tmp_path / "shop.toml").write_text(text)

    with pytest.raises(ConfigurationError, match=reason):
        shop_file.load(tmp_path)
