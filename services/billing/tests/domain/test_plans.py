"""Plans and tiers: how days add up, what they are worth, what a refund takes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.domain import plans, tiers
from billing.domain.accounts import Account, TierStep
from billing.domain.errors import PlanRefusedError
from billing.domain.plans import Extended
from chassis.clock import new_id
from contracts.payments import BuyPlan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MONTH = 30 * DAY
TICK = timedelta(microseconds=1)
LAST_YEAR = datetime(8_999, 12, 31, tzinfo=UTC)
FOR_GOOD = datetime(9_000, 1, 1, tzinfo=UTC)


def account(tier="none", until=None):
    return Account(1, tier=tier, tier_until=until)


@pytest.mark.parametrize(
    ("opened", "for_good"),
    [
        (account(), False),
        (account("vip"), True),
        (account("vip", NOW + DAY), False),
        (account("vip", NOW), False),
        (account("vip", LAST_YEAR), False),
        (account("vip", FOR_GOOD), True),
        (account("none", FOR_GOOD), False),
    ],
)
def test_a_tier_without_end_or_until_the_calendars_is_for_good(opened, for_good):
    assert plans.is_for_good(opened, NOW) is for_good


@pytest.mark.parametrize(
    ("opened", "tier", "code"),
    [
        (account(), "vip", None),
        (account("vip", NOW + DAY), "vip", None),
        (account("vip", NOW + DAY), "black_gold", None),
        (account("black_gold", NOW + DAY), "black_gold", None),
        (account("black_gold", NOW), "vip", None),
        (account("black_gold", NOW + DAY), "vip", "higher_tier_active"),
        (account("vip"), "vip", "tier_without_end"),
        (account("black_gold"), "vip", "tier_without_end"),
    ],
)
def test_a_plan_is_sold_where_its_days_can_be_added(opened, tier, code):
    if code is None:
        plans.check(opened, tier, NOW)
        return
    with pytest.raises(PlanRefusedError) as refused:
        plans.check(opened, tier, NOW)
    assert refused.value.code == code


def test_the_first_days_begin_now():
    opened = account()

    given = plans.extend(opened, "vip", MONTH, NOW)

    assert given == Extended(NOW, NOW + MONTH, "none")
    assert (opened.tier, opened.tier_until, opened.tier_version) == ("vip", NOW + MONTH, 1)


def test_days_of_a_tier_that_is_over_do_not_count():
    opened = account("vip", NOW - DAY)

    given = plans.extend(opened, "vip", MONTH, NOW)

    assert given == Extended(NOW, NOW + MONTH, "none")


def test_days_of_the_tier_that_runs_begin_at_its_end():
    opened = account("vip", NOW + 10 * DAY)

    given = plans.extend(opened, "vip", MONTH, NOW)

    assert given == Extended(NOW + 10 * DAY, NOW + 40 * DAY, "")
    assert (opened.tier, opened.tier_until) == ("vip", NOW + 40 * DAY)


def test_a_third_of_the_days_of_vip_is_left_under_black_gold():
    opened = account("vip", NOW + 30 * DAY)

    given = plans.extend(opened, "black_gold", MONTH, NOW)

    assert given == Extended(NOW + 10 * DAY, NOW + 40 * DAY, "vip")
    assert (opened.tier, opened.tier_until) == ("black_gold", NOW + 40 * DAY)


def test_money_for_vip_adds_a_third_of_its_days_to_black_gold():
    opened = account("black_gold", NOW + DAY)

    given = plans.extend(opened, "vip", MONTH, NOW)

    assert given == Extended(NOW + DAY, NOW + 11 * DAY, "")
    assert opened.tier == "black_gold"


@pytest.mark.parametrize(
    ("at_least", "until"), [(NOW + 31 * DAY, NOW + 31 * DAY), (NOW + DAY, NOW + MONTH)]
)
def test_a_subscription_lasts_as_long_as_its_provider_says_if_longer(at_least, until):
    opened = account()

    given = plans.extend(opened, "vip", MONTH, NOW, at_least=at_least)

    assert given.until == opened.tier_until == until


def test_what_a_provider_says_of_vip_says_nothing_of_black_gold():
    opened = account("black_gold", NOW + DAY)

    given = plans.extend(opened, "vip", MONTH, NOW, at_least=NOW + 99 * DAY)

    assert given.until == NOW + 11 * DAY


def test_nothing_is_added_to_a_tier_without_end():
    opened = account("vip")

    with pytest.raises(PlanRefusedError) as refused:
        plans.extend(opened, "black_gold", MONTH, NOW)

    assert refused.value.code == "tier_without_end"
    assert (opened.tier, opened.tier_until, opened.tier_version) == ("vip", None, 0)


# --- taken back --------------------------------------------------------------------------------


def bought(*purchases):
    """An account that bought (tier, days) one after another, now, and what each gave."""
    opened = account()
    return opened, [plans.extend(opened, tier, days * DAY, NOW) for tier, days in purchases]


def test_all_days_are_taken_before_they_begin_and_the_tier_ends():
    opened, (given,) = bought(("vip", 30))

    taken = plans.take_back(opened, given, NOW)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "none", None)
    assert opened.tier_version == 2


def test_what_is_used_up_of_a_purchase_is_not_taken():
    opened, (_, given) = bought(("vip", 10), ("vip", 30))

    taken = plans.take_back(opened, given, NOW + 15 * DAY)

    assert (taken, opened.tier) == (25 * DAY, "none")


def test_what_was_bought_later_moves_up_as_if_the_first_had_never_been():
    opened, (first, _) = bought(("vip", 30), ("vip", 30))

    taken = plans.take_back(opened, first, NOW + 10 * DAY)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "vip", NOW + MONTH)


def test_the_tier_that_was_replaced_comes_back_with_its_days():
    opened, (_, gold) = bought(("vip", 30), ("black_gold", 30))

    plans.take_back(opened, gold, NOW)

    assert (opened.tier, opened.tier_until) == ("vip", NOW + MONTH)


def test_a_lower_plan_given_back_costs_the_higher_one_only_what_it_was_worth():
    opened, (vip, _) = bought(("vip", 30), ("black_gold", 30))

    taken = plans.take_back(opened, vip, NOW)

    assert (taken, opened.tier, opened.tier_until) == (10 * DAY, "black_gold", NOW + MONTH)


def test_what_was_bought_after_it_keeps_the_higher_tier():
    opened, (_, gold, _) = bought(("vip", 30), ("black_gold", 30), ("black_gold", 30))

    taken = plans.take_back(opened, gold, NOW)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "black_gold", NOW + 40 * DAY)


def test_a_purchase_is_taken_back_once():
    opened, (given, _) = bought(("vip", 30), ("vip", 30))
    plans.take_back(opened, given, NOW)
    before = opened.tier_until

    plans.take_back(opened, Extended(NOW, NOW, ""), NOW)

    assert opened.tier_until == before


def test_what_a_tier_was_set_to_is_where_later_days_begin():
    opened = account()
    plans.put(opened, "vip", NOW + 5 * DAY, NOW)
    given = plans.extend(opened, "vip", MONTH, NOW)

    taken = plans.take_back(opened, given, NOW)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "vip", NOW + 5 * DAY)


def test_nothing_is_taken_of_what_has_ended_or_was_set_for_good_since():
    ended, (given,) = bought(("vip", 30))
    for_good, (other,) = bought(("vip", 30))
    plans.put(for_good, "vip", None, NOW)

    assert plans.take_back(ended, given, NOW + MONTH) == timedelta(0)
    assert plans.take_back(for_good, other, NOW) == timedelta(0)
    assert (for_good.tier, for_good.tier_until, for_good.tier_version) == ("vip", None, 2)


def test_what_gave_days_is_kept_as_it_was_given():
    opened, later = account(), NOW + DAY
    given = plans.extend(opened, "vip", MONTH, NOW, at_least=NOW + 31 * DAY)
    plans.put(opened, "black_gold", later + DAY, later)

    assert opened.steps == [
        TierStep(1, "vip", NOW, MONTH, NOW + 31 * DAY, NOW, given.until),
        TierStep(2, "black_gold", later, None, None, later, later + DAY),
    ]


def test_a_subscription_lasts_as_long_though_what_came_before_is_taken():
    opened, (first,) = bought(("vip", 10))
    plans.extend(opened, "vip", MONTH, NOW, at_least=NOW + 45 * DAY)

    taken = plans.take_back(opened, first, NOW)

    assert (taken, opened.tier_until) == (timedelta(0), NOW + 45 * DAY)


def test_a_higher_tier_that_is_used_up_leaves_the_days_of_the_lower_one():
    """What is taken is never nothing: given again, the higher tier would not come back."""
    opened, (gold, _) = bought(("black_gold", 1), ("vip", 90))

    taken = plans.take_back(opened, gold, NOW + 2 * DAY)

    assert (taken, opened.tier) == (timedelta(seconds=1), "vip")
    assert opened.tier_until == NOW + 90 * DAY


def test_of_an_end_that_no_step_tells_nothing_is_taken():
    opened, (first, _) = bought(("vip", 30), ("vip", 30))
    tiers.set_tier(opened, "vip", None, NOW)

    taken = plans.take_back(opened, first, NOW)

    assert (taken, opened.tier, opened.tier_until) == (timedelta(0), "vip", NOW + MONTH)


def test_a_tier_follows_from_what_counts_of_its_steps():
    opened, (first, _) = bought(("vip", 30), ("black_gold", 30))

    assert plans.derived(opened, NOW) == (opened.tier, opened.tier_until)
    assert plans.derived(opened, NOW + 40 * DAY) == ("none", None)
    plans.take_back(opened, first, NOW)
    assert plans.derived(opened, NOW) == ("black_gold", NOW + MONTH)


# Purchases from before steps were kept: all that is known is what each gave.


def old(tier, until, given, now=NOW):
    """What taking back leaves of a tier nobody knows the steps of."""
    opened = account(tier, until)
    taken = plans.take_back(opened, given, now)
    return taken, opened


def test_an_old_purchase_is_taken_as_far_as_it_is_not_used_up():
    now, end = NOW + 10 * DAY, NOW + 40 * DAY
    taken, opened = old("vip", NOW + 60 * DAY, Extended(NOW, NOW + MONTH, ""), now)

    assert (taken, opened.tier, opened.tier_until) == (20 * DAY, "vip", end)
    assert opened.steps == [TierStep(1, "vip", now, None, None, now, end)], "known from here on"


def test_the_last_of_old_purchases_of_one_tier_leaves_the_others():
    given = Extended(NOW + 30 * DAY, NOW + 60 * DAY, "")
    taken, opened = old("vip", NOW + 60 * DAY, given)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "vip", NOW + MONTH)


def test_of_an_old_purchase_no_more_is_taken_than_is_left():
    taken, opened = old("vip", NOW + 5 * DAY, Extended(NOW, NOW + MONTH, "none"))

    assert (taken, opened.tier, opened.tier_until) == (5 * DAY, "none", None)


def test_an_old_purchase_gives_back_what_it_replaced():
    given = Extended(NOW + 10 * DAY, NOW + 40 * DAY, "vip")
    taken, opened = old("black_gold", NOW + 40 * DAY, given)
    _, longer = old("black_gold", NOW + 70 * DAY, given)

    assert (taken, opened.tier, opened.tier_until) == (MONTH, "vip", NOW + MONTH)
    assert (longer.tier, longer.tier_until) == ("black_gold", NOW + 40 * DAY)


@pytest.mark.parametrize(
    ("opened", "now"),
    [
        (account("vip", NOW + 90 * DAY), NOW + MONTH),
        (account("vip", NOW + 90 * DAY), NOW + MONTH + TICK),
        (account("none", NOW + 90 * DAY), NOW),
        (account("none"), NOW),
        (account("vip", NOW), NOW),
        (account("vip"), NOW),
    ],
)
def test_nothing_is_taken_of_an_old_purchase_that_is_over_or_of_a_tier_for_good(opened, now):
    before = (opened.tier, opened.tier_until)

    taken = plans.take_back(opened, Extended(NOW, NOW + MONTH, ""), now)

    assert (taken, opened.tier, opened.tier_until) == (timedelta(0), *before)
    assert (opened.tier_version, opened.steps) == (0, [])


def test_the_last_moment_of_an_old_purchase_is_still_taken():
    taken, opened = old("vip", NOW + 90 * DAY, Extended(NOW, NOW + MONTH, ""), NOW + MONTH - TICK)

    assert (taken, opened.tier_until) == (TICK, NOW + 90 * DAY - TICK)


@settings(max_examples=60, deadline=None)
@given(
    purchases=st.lists(
        st.tuples(st.sampled_from(["vip", "black_gold"]), st.integers(1, 90)), min_size=1
    ),
    later=st.integers(0, 400),
)
def test_what_is_taken_back_at_once_was_never_there(purchases, later):
    opened, _ = bought(*purchases)
    now = NOW + later * DAY
    before = (tiers.tier_of(opened, now), opened.tier_until)

    plans.take_back(opened, plans.extend(opened, "black_gold", 10 * DAY, now), now)

    assert tiers.tier_of(opened, now) == before[0]
    if before[0] != "none":
        assert abs(opened.tier_until - before[1]) <= 9 * TICK, "days are divided by their worth"


def test_a_purchase_is_the_same_if_person_plan_and_price_are():
    command = BuyPlan(
        order_id=new_id(), user_id=1, plan_id="vip_30", price_credits=300, priced_at=NOW
    )
    same = plans.digest_of(replace(command, order_id=new_id(), priced_at=NOW + DAY))

    assert plans.digest_of(command) == same
    assert len(same) == 16
    for changed in ({"user_id": 2}, {"plan_id": "vip"}, {"price_credits": 301}):
        assert plans.digest_of(replace(command, **changed)) != same
