"""Prices and discounts at their moments."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain import discounts, prices
from billing.domain.discounts import Discount
from billing.domain.errors import PriceChangedError, PriceExpiredError
from billing.testing import ORBIT

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
VALID = timedelta(minutes=15)


def discount(percent, *, key="promo:A", until=NOW + DAY):
    return Discount(1, key, percent, until)


def test_of_equal_discounts_the_first_by_name_counts():
    held = [discount(30, key="promo:B"), discount(30, key="promo:A")]

    assert discounts.best(held, 30, NOW).key == "promo:A"
    assert discounts.best([], 30, NOW) is None


def test_a_discount_is_usable_until_its_moment_and_by_one_order():
    assert discount(30, until=NOW + TICK).is_usable(NOW)
    assert not discount(30, until=NOW).is_usable(NOW)
    assert not Discount(1, "a", 30, NOW + DAY, UUID(int=1)).is_usable(NOW)


def test_a_price_is_offered_as_it_is_now():
    found = discount(30)

    assert prices.offer_of(ORBIT, [discount(15), found], NOW) == prices.Offer(21, 30, found)
    assert prices.offer_of(ORBIT, [], NOW) == prices.Offer(30, 30, None)
    assert prices.offer_of(ORBIT, [discount(30, until=NOW)], NOW).price == 30


@pytest.mark.parametrize(
    ("shown", "age", "error"),
    [
        (10, VALID, None),
        (10, VALID + TICK, PriceExpiredError),
        (9, timedelta(), PriceChangedError),
        (11, VALID + TICK, PriceChangedError),
    ],
)
def test_a_shown_price_holds_for_its_time(shown, age, error):
    def check():
        prices.check_shown(shown, NOW - age, current=10, now=NOW, valid=VALID)

    if error is None:
        check()
        return
    with pytest.raises(error) as refused:
        check()
    assert refused.value.price_credits == 10
