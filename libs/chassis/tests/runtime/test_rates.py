"""Token buckets: what fits, how long to wait, and that their memory is bounded."""

import pytest

from chassis.rates import Buckets, Rate


def test_a_burst_fits_and_then_one_after_the_other():
    buckets = Buckets(Rate(per_second=2.0, burst=3), keys_max=10)

    assert [buckets.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("a", 0.25) == pytest.approx(0.25)
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("b", 0.5) == 0.0


def test_a_refused_one_costs_nothing():
    buckets = Buckets(Rate(per_second=1.0, burst=1), keys_max=10)
    buckets.take("a", 0.0)

    for _ in range(100):
        buckets.take("a", 0.5)

    assert buckets.take("a", 1.0) == 0.0


def test_looking_takes_nothing():
    buckets = Buckets(Rate(per_second=1.0, burst=1), keys_max=10)

    assert [buckets.wait_seconds("a", 0.0) for _ in range(3)] == [0.0] * 3
    assert "a" not in buckets


def test_no_more_than_the_burst_is_saved_up():
    buckets = Buckets(Rate(per_second=1.0, burst=2), keys_max=10)
    buckets.take("a", 0.0)

    assert [bool(buckets.take("a", 1_000.0)) for _ in range(3)] == [False, False, True]


def test_the_least_recently_used_is_forgotten():
    buckets = Buckets(Rate(per_second=1.0, burst=1), keys_max=2)

    for key in ("a", "b", "a", "c"):
        buckets.take(key, 0.0)

    assert len(buckets) == 2
    assert "a" in buckets
    assert "b" not in buckets


def test_a_clock_that_goes_back_takes_nothing_away():
    buckets = Buckets(Rate(per_second=1.0, burst=2), keys_max=2)
    buckets.take("a", 10.0)

    assert buckets.take("a", 5.0) == 0.0
