"""Progress, lateness, and the order of pulls."""

import pytest

from generator.domain import lateness, tiers
from generator.domain.progress import Durations, NodeProgress, fraction


def seen(value, maximum, *, finished=False):
    return NodeProgress(value=value, maximum=maximum, finished=finished)


def test_before_anything_is_learnt_steps_weigh_as_nodes():
    nodes = {"1": seen(1, 1, finished=True), "2": seen(15, 30)}

    assert fraction(["1", "2", "9"], nodes, {}) == pytest.approx(16 / 32)


def test_learnt_nodes_weigh_what_they_took():
    nodes = {"1": seen(1, 1, finished=True), "2": seen(1, 2)}
    weights = {"1": 0.5, "2": 8.0, "9": 1.5}

    assert fraction(["1", "2", "9"], nodes, weights) == pytest.approx(4.5 / 10)


def test_progress_never_says_done():
    assert fraction(["1"], {"1": seen(1, 1, finished=True)}, {}) < 1.0
    assert fraction([], {}, {}) == 0.0


def test_durations_follow_what_is_measured():
    durations = Durations()
    assert durations.expected("w", 4.0) == 4.0

    durations.learn("w", 10.0, {"2": 9.0})
    assert durations.expected("w", 4.0) == 10.0
    for _ in range(20):
        durations.learn("w", 2.0, {"2": 1.0})

    assert durations.expected("w", 4.0) == pytest.approx(2.0, abs=0.1)
    assert durations.weights("w")["2"] == pytest.approx(1.0, abs=0.1)


def test_the_end_is_guessed_by_the_clock_first_and_by_progress_later():
    assert lateness.remaining_seconds(2.0, 0.0, 10.0) == pytest.approx(8.0)
    slow = lateness.remaining_seconds(10.0, 0.5, 10.0)
    assert slow == pytest.approx(5.0)
    nearly = lateness.remaining_seconds(30.0, 0.95, 10.0)
    assert nearly == pytest.approx(1.5, abs=0.1)


def test_the_window_opens_two_seconds_before_the_end():
    assert lateness.opens_in(3.0, 0.0, 10.0, 2.0) == pytest.approx(5.0)
    assert lateness.opens_in(8.5, 0.0, 10.0, 2.0) == 0.0
    assert lateness.opens_in(0.0, 0.0, 1.0, 2.0) == 0.0


def test_lane_comes_before_pool_and_pools_take_turns():
    first, second = tiers.idle(["image", "video"], 0), tiers.idle(["image", "video"], 1)

    assert first is not None
    assert second is not None
    assert first.tiers == ("image-priority", "video-priority", "image-regular", "video-regular")
    assert second.tiers == ("video-priority", "image-priority", "video-regular", "image-regular")
    assert first.priority < tiers.busy(["image"], 0).priority


def test_a_server_without_pools_wishes_nothing():
    assert tiers.idle([], 3) is None
    assert tiers.priority_only(["image"], 0).tiers == ("image-priority",)
