from datetime import UTC, datetime

import pytest

from billing.domain import moments
from billing.domain.errors import InvalidError
from contracts.billing import SetTier

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def command(until):
    return SetTier(user_id=1, tier="vip", until=until, reason="r", actor="op")


@pytest.mark.parametrize("until", [None, NOW])
def test_a_moment_with_its_time_zone_is_one(until):
    moments.check(command(until))


def test_a_moment_without_a_time_zone_is_refused_by_name():
    with pytest.raises(InvalidError) as refused:
        moments.check(command(NOW.replace(tzinfo=None)))

    assert str(refused.value) == "until: a moment needs a time zone"
