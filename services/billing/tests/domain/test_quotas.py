"""Daily quotas: used, given back, and the shop's midnight."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.domain import quotas
from billing.domain.errors import QuotaExceededError
from billing.domain.quotas import Quota
from billing.testing import ENHANCE, PRODUCT_SCENE

TODAY = date(2026, 11, 20)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def test_a_quota_is_used_up_by_its_last_order():
    quota = Quota(1, ENHANCE.id, TODAY)

    for used in range(1, 6):
        quotas.check(quota, ENHANCE, "none", TODAY)
        assert quotas.use(quota, TODAY) == TODAY
        assert quota == Quota(1, ENHANCE.id, TODAY, used)
    with pytest.raises(QuotaExceededError) as refused:
        quotas.check(quota, ENHANCE, "none", TODAY)

    assert refused.value.limit == 5


def test_a_clock_that_lags_behind_midnight_opens_no_second_day():
    quota = Quota(1, ENHANCE.id, TODAY, 5)

    with pytest.raises(QuotaExceededError):
        quotas.check(quota, ENHANCE, "none", TODAY - DAY)
    assert quotas.use(quota, TODAY - DAY) == TODAY
    assert (quota.day, quota.used) == (TODAY, 6)


def test_what_is_given_back_can_be_used_again_but_never_more():
    quota = Quota(1, ENHANCE.id, TODAY, 2)

    left = []
    for _ in range(3):
        quotas.give_back(quota, TODAY)
        left.append(quota.used)

    assert left == [1, 0, 0]


def test_what_is_left_today_is_told():
    assert [quotas.left_today(ENHANCE, "none", used) for used in (0, 4, 5, 6)] == [5, 1, 0, 0]
    assert quotas.left_today(PRODUCT_SCENE, "none", 0) is None, "paid orders are not counted"
    assert [quotas.daily_limit(ENHANCE, tier) for tier in ("none", "vip")] == [5, None]
    assert Quota(1, ENHANCE.id, TODAY, 3).used_on(TODAY) == 3
    assert Quota(1, ENHANCE.id, TODAY, 3).used_on(TODAY + DAY) == 0


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [("UTC", TODAY, 0), ("Asia/Tokyo", TODAY, -9), ("America/New_York", TODAY, 5)],
)
def test_the_shops_day_begins_at_its_midnight(zone, day, hours):
    start = quotas.day_start(day, ZoneInfo(zone))

    assert start == datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hours)
    assert quotas.shop_day(start, ZoneInfo(zone)) == day
    assert quotas.shop_day(start - TICK, ZoneInfo(zone)) == day - DAY
