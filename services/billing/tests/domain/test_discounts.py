from datetime import UTC, datetime, timedelta

import pytest

from billing.domain import discounts, prices
from billing.domain.discounts import Discount
from billing.testing import ENHANCE, ORBIT, PRODUCT_SCENE
from chassis.clock import new_id

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def discount(percent, *, hours=1, key="promo:A", order_id=None):
    return Discount(1, key, percent, NOW + timedelta(hours=hours), order_id)


def test_the_highest_discount_counts_and_of_equals_the_one_ending_first():
    held = [
        discount(15, key="a"),
        discount(30, key="b", hours=9),
        discount(30, key="c", hours=2),
        discount(50, key="gone", hours=-1),
        discount(50, key="used", order_id=new_id()),
    ]

    assert discounts.best(held, 30, NOW).key == "c"


def test_a_discount_ends_at_its_moment():
    assert discounts.best([discount(50, hours=0)], 30, NOW) is None


@pytest.mark.parametrize(
    ("workflow", "percent", "price", "used"),
    [
        (ORBIT, 50, 15, True),
        (ORBIT, 15, 26, True),
        (ORBIT, 5, 29, True),
        (ORBIT, 100, 0, True),
        (PRODUCT_SCENE, 30, 7, True),
        # 9.5 rounds up to what it costs anyway: the discount is kept for something dearer.
        (PRODUCT_SCENE, 5, 10, False),
        (ENHANCE, 50, 0, False),
    ],
)
def test_prices_round_up_and_nothing_is_used_up_for_nothing(workflow, percent, price, used):
    offer = prices.offer_of(workflow, [discount(percent)], NOW)

    assert (offer.price, offer.base) == (price, workflow.price_credits)
    assert (offer.discount is not None, offer.percent) == (used, percent if used else 0)
