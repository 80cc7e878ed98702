from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.callbacks import BYTES_MAX, pack, parse
from gateway.domain.money import money
from gateway.domain.packed_ids import mark
from gateway.domain.purchase_buttons import (
    ChangeRenewals,
    ChoosePack,
    ChoosePlan,
    DropPayment,
    PayWith,
    TopUpFor,
)

SOME = UUID("019376e1-2b6d-7c3f-8a51-2f9d6c1b7e40")
EACH = [
    TopUpFor(SOME),
    ChoosePack("credits_1000"),
    ChoosePack("credits_1000", SOME),
    ChoosePlan("black_gold_30"),
    PayWith(SOME, "crypto_pay"),
    DropPayment(SOME),
    ChangeRenewals(mark("stx" + "x" * 140), cancelled=True),
    ChangeRenewals(mark("a charge"), cancelled=False),
]


@pytest.mark.parametrize("purchase", EACH, ids=lambda each: type(each).__name__)
def test_every_button_comes_back_as_it_was_packed(purchase):
    data = pack(purchase)

    assert parse(data) == purchase
    assert len(data.encode()) <= BYTES_MAX


@pytest.mark.parametrize("purchase", EACH, ids=lambda each: type(each).__name__)
def test_cut_data_is_an_old_button(purchase):
    data = pack(purchase)

    assert parse(data[: len("pk:1:")]) is None
    assert parse(data.replace(":1:", ":2:", 1)) is None


@given(st.sampled_from(["t", "pk", "pl", "pw", "px", "ps"]), st.text(max_size=14))
def test_forged_data_never_fails(prefix, rest):
    parsed = parse(f"{prefix}:1:{rest}")

    assert parsed is None or pack(parsed) == f"{prefix}:1:{rest}"


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (100, "XTR", "⭐ 100"),
        (199, "USD", "1.99 USD"),
        (5, "USD", "0.05 USD"),
        (9_900, "RUB", "99.00 RUB"),
        (1_500_000, "USDT", "1.50 USDT"),
        (12_345_678, "TON", "0.12345678 TON"),
        (-199, "USD", "−1.99 USD"),
    ],
)
def test_money_is_written_as_people_read_it(minor, currency, shown):
    assert money(minor, currency) == shown


def test_the_exponent_of_the_method_counts_where_it_is_known():
    assert money(1_234, "JPY", 0) == "1234 JPY"
