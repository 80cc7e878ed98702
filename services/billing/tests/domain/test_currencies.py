"""Currencies: amounts as providers write them, at their edges."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain.currencies import EXPONENTS, MINOR_MAX, to_minor, to_text
from billing.domain.errors import InvalidError


@settings(max_examples=60, deadline=None)
@given(minor=st.integers(0, MINOR_MAX), currency=st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_survives_the_way_there_and_back(minor, currency):
    assert to_minor(to_text(minor, currency), currency) == minor


def test_each_currency_has_its_digits():
    digits = {0: ["XTR"], 2: ["EUR", "RUB", "USD"], 6: ["USDC", "USDT"]}
    digits[8] = ["BNB", "BTC", "ETH", "LTC", "TON", "TRX"]

    assert sorted(EXPONENTS) == sorted(name for names in digits.values() for name in names)
    for count, names in digits.items():
        for name in names:
            assert to_minor("1", name) == 10**count


def test_amounts_are_written_plainly_with_all_their_digits():
    assert [to_text(499, each) for each in ("USD", "XTR", "BTC")] == ["4.99", "499", "0.00000499"]
    assert to_text(MINOR_MAX, "XTR") == "1" + 15 * "0"


@pytest.mark.parametrize("text", ["0", "0.00", "1000000000000000"])
def test_nothing_and_the_most_are_amounts(text):
    assert to_minor(text, "XTR") == int(float(text))


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("1000000000000001", "XTR", "not an amount in XTR"),
        ("4.999", "USD", "not an amount in USD"),
        ("-0.01", "USD", "not an amount in USD"),
        ("Infinity", "USD", "not an amount in USD"),
        ("NaN", "USD", "not an amount in USD"),
        ("4,99", "USD", "not an amount"),
        ("1", "DOGEDOGEDOGE", "DOGEDOGEDO is no currency of the shop"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_reason(text, currency, why):
    with pytest.raises(InvalidError) as refused:
        to_minor(text, currency)

    assert str(refused.value) == why
