"""Kinds take turns, and none fires faster than it may."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.pace import BURST_SECONDS, allowance, paid_off, shares

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(kinds=st.lists(st.text(max_size=3), unique=True, max_size=30), batch=st.integers(1, 500))
def test_every_kind_gets_an_equal_part_of_the_batch(kinds: list[str], batch: int) -> None:
    parts = shares(kinds, batch)

    assert list(parts) == kinds
    assert all(part >= 1 for part in parts.values())
    assert not parts or max(parts.values()) - min(parts.values()) <= 1
    assert sum(parts.values()) == (max(batch, len(kinds)) if kinds else 0)


def test_a_kind_that_never_fired_may_fire_a_burst() -> None:
    long_ago = NOW - timedelta(days=10)

    assert allowance(long_ago, NOW, 200.0) == 20
    assert allowance(long_ago, NOW, 0.5) == 1
    assert allowance(NOW, NOW, 200.0) == 0


@given(
    per_second=st.floats(0.2, 5_000),
    looks=st.lists(st.integers(1, 400), min_size=1, max_size=100),
    greed=st.integers(1, 1_000),
)
def test_no_second_has_more_than_the_limit_and_a_burst(
    per_second: float, looks: list[int], greed: int
) -> None:
    free_at, now = NOW - timedelta(days=1), NOW
    fired: list[tuple[datetime, int]] = []
    for milliseconds in looks:
        now += timedelta(milliseconds=milliseconds)
        count = min(allowance(free_at, now, per_second), greed)
        if count:
            free_at = paid_off(free_at, now, per_second, count)
            fired.append((now, count))

    burst = max(BURST_SECONDS * per_second, 1)
    for begin, _ in fired:
        window = [n for at, n in fired if begin <= at < begin + timedelta(seconds=1)]
        assert sum(window) <= per_second + burst + 1e-3


def test_a_limited_kind_is_fired_as_fast_as_it_may() -> None:
    free_at, now, total = NOW, NOW, 0
    for _ in range(250):
        now += timedelta(milliseconds=40)
        count = allowance(free_at, now, 100.0)
        free_at = paid_off(free_at, now, 100.0, count)
        total += count

    assert total == 1_000
