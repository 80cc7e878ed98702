from itertools import product

import pytest

from gateway.domain import order_screen
from gateway.domain.order_screen import after_confirm, may_become

FINAL = [order_screen.REFUSED, order_screen.COMPLETED, order_screen.DROPPED]


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (["available"], order_screen.PLACED),
        (["pending"], order_screen.CONFIRMING),
        (["available", "downloading"], order_screen.CONFIRMING),
        (["pending", "failed"], order_screen.DROPPED),
        ([], order_screen.PLACED),
    ],
)
def test_a_confirm_waits_for_every_photo_and_gives_up_with_a_failed_one(media, expected):
    assert after_confirm(media) == expected


def test_a_screen_is_placed_only_from_before_the_order():
    placeable = [state for state in order_screen._FROM if may_become(state, order_screen.PLACED)]
    assert placeable == [order_screen.CONFIRMING]
    assert may_become(order_screen.PRICED, order_screen.PLACED)


def test_nothing_leaves_a_final_state():
    for state, wanted in product(FINAL, order_screen._FROM):
        assert not may_become(state, wanted), (state, wanted)


def test_events_out_of_order_never_lead_back():
    assert may_become(order_screen.PLACED, order_screen.RUNNING)
    assert not may_become(order_screen.RUNNING, order_screen.ACCEPTED)
    assert not may_become(order_screen.COMPLETED, order_screen.REFUNDED)


def test_a_late_success_after_a_refund_is_a_gift():
    assert may_become(order_screen.REFUNDED, order_screen.COMPLETED)
