"""Promo codes at their limits, and the names of what was given."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.domain import draws, gifts, promos, referrals
from billing.domain.errors import InvalidError
from billing.domain.promos import Promo
from billing.domain.reward_terms import PromoTerms
from contracts.rewards import SavePromo

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def command(**fields):
    return SavePromo(**{"code": "Autumn", "kind": "credits", "value": 5, "actor": "op", **fields})


def test_a_code_is_kept_as_it_was_described():
    described = command(
        code=" autumn-26 ",
        kind="tier",
        value=30,
        tier="black_gold",
        uses_max=100,
        newcomers_only=True,
        lot_days=7,
        starts_at=NOW,
        ends_at=NOW + TICK,
    )

    saved = promos.promo_of(described, None)

    assert saved == Promo(
        code="AUTUMN-26",
        kind="tier",
        value=30,
        tier="black_gold",
        uses_max=100,
        used=0,
        newcomers_only=True,
        lot_days=7,
        starts_at=NOW,
        ends_at=NOW + TICK,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "abc"},
        {"code": "x" * 40},
        {"code": "A_-9"},
        {"value": 1},
        {"value": 100_000},
        {"kind": "discount", "value": 100},
        {"kind": "tier", "value": 3_650, "tier": "vip"},
        {"uses_max": 0},
        {"uses_max": 1},
        {"uses_max": 1_000_000_000},
        {"lot_days": 3_650},
        {"starts_at": NOW},
        {"ends_at": NOW},
    ],
)
def test_a_code_at_its_limits_is_saved(fields):
    assert promos.promo_of(command(**fields), None).used == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": "ab"}, "code"),
        ({"kind": "money"}, "kind"),
        ({"value": 0}, "value"),
        ({"value": 100_001}, "value"),
        ({"kind": "tier", "tier": "none"}, "tier"),
        ({"uses_max": 2}, "uses_max"),
        ({"uses_max": 1_000_000_001}, "uses_max"),
        ({"lot_days": -1}, "lot_days"),
        ({"lot_days": 3_651}, "lot_days"),
        ({"starts_at": NOW.replace(tzinfo=None)}, "time zone"),
        ({"starts_at": NOW + TICK, "ends_at": NOW}, "ends_at"),
        ({"starts_at": NOW, "ends_at": NOW}, "ends_at"),
    ],
)
def test_an_operator_is_told_the_field_alone(fields, field):
    with pytest.raises(InvalidError) as refused:
        promos.promo_of(command(**fields), Promo("AUTUMN", "credits", 1, used=3))

    assert str(refused.value) == field


def test_a_code_can_be_redeemed_until_its_last_moment_and_use():
    someone = promos.Asker(used_it=False, has_paid=True)
    promo = Promo("A", "credits", 5, uses_max=2, used=1, starts_at=NOW, ends_at=NOW + TICK)

    assert promos.check(promo, someone, NOW) is promo


def test_a_discount_ends_no_later_than_its_code():
    terms = PromoTerms(discount_valid=DAY)

    assert Promo("A", "discount", 5, ends_at=NOW + 9 * DAY).discount_until(NOW, terms) == NOW + DAY


def test_only_guesses_of_the_last_hour_count():
    terms = PromoTerms(wrong_max=2, wrong_within=DAY)
    misses = [NOW - DAY, NOW - DAY + TICK, NOW]

    assert promos.recent(misses, NOW, terms) == misses[1:]


def test_a_new_code_was_used_by_nobody():
    assert Promo("A", "credits", 5).used == 0


def test_names_of_what_was_given_tell_its_origin():
    reward = referrals.Reward("stars", "c1", 1, 2, 10, NOW)

    assert (reward.grant_key, reward.state) == ("referral:stars:c1", "held")
    assert Promo("A", "discount", 5).discount_key == "promo:A"
    assert draws.discount_key(TODAY) == "draw:2026-11-20"


def test_a_prize_lasts_for_its_day_alone():
    assert draws.valid_until(TODAY, ZoneInfo("UTC")) == datetime(2026, 11, 21, tzinfo=UTC)


def test_secrets_are_as_long_as_their_codes_need():
    assert len(referrals.code_of(bytes(referrals.CODE_BYTES))) == 8
    assert len(gifts.code_of(bytes(gifts.SECRET_BYTES))) == 26
    assert (gifts.SECRET_BYTES * 8, draws.SEED_BYTES * 8) == (128, 256)
