"""Tiers: how a change is made and told, and when one ends."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.domain import tiers
from billing.domain.accounts import Account
from billing.domain.errors import InvalidError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def account(tier="none", until=None):
    return Account(1, tier=tier, tier_until=until)


def test_a_tier_without_end_lasts():
    assert tiers.tier_of(account("vip"), NOW) == "vip"


def test_each_change_of_a_tier_is_told_under_a_number_of_its_own():
    opened = account()
    tiers.set_tier(opened, "vip", NOW + TICK, NOW)
    tiers.set_tier(opened, "black_gold", None, NOW)

    assert (opened.tier, opened.tier_until, opened.tier_version) == ("black_gold", None, 2)


def test_no_tier_has_no_end():
    opened = account("vip", NOW + DAY)

    tiers.set_tier(opened, "none", NOW - DAY, NOW)

    assert (opened.tier, opened.tier_until, opened.tier_version) == ("none", None, 1)


@pytest.mark.parametrize(
    ("tier", "until", "why"),
    [
        ("gold" * 9, None, "no tier is called goldgoldgoldgoldgold"),
        ("vip", NOW, "the tier would have ended already"),
        ("vip", NOW - DAY, "the tier would have ended already"),
    ],
)
def test_a_senseless_change_of_a_tier_changes_nothing(tier, until, why):
    opened = account("vip", NOW + DAY)

    with pytest.raises(InvalidError) as refused:
        tiers.set_tier(opened, tier, until, NOW)

    assert str(refused.value) == why
    assert (opened.tier, opened.tier_until, opened.tier_version) == ("vip", NOW + DAY, 0)
