"""What purchases, time and operators make of one subscription."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.access import KIND_TRAFFIC, AccessPlan
from contracts.vpn import (
    CAUSE_DELETED,
    CAUSE_EXPIRED,
    STATE_ACTIVE,
    STATE_ENDED,
    STATE_GRACE,
    STATE_SUSPENDED,
)
from vpn.domain import access, care
from vpn.domain.access import Credentials, Purchase, Subscription
from vpn.domain.errors import (
    InvalidError,
    NoSubscriptionError,
    StalePeriodError,
    TrialUsedError,
)
from vpn.domain.plans import GIB
from vpn.domain.terms import GRACE_OBSERVE, GRACE_ON, Terms

NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
MONTH = AccessPlan(id="vpn_30", price_credits=150, days=30, traffic_gib=100, devices=2)
EUROPE = AccessPlan(id="vpn_eu", price_credits=100, days=30, regions=("eu",))
MORE = AccessPlan(id="vpn_more", price_credits=40, kind=KIND_TRAFFIC, traffic_gib=50)
TERMS = Terms()
GRACE = Terms(grace_policy=GRACE_ON)
DAY = timedelta(days=1)


def new():
    return Subscription(UUID(int=5), 7, NOW)


def fresh():
    return Credentials(uuid4(), uuid4().hex)


def bought(days=30, **fields):
    return Purchase(order_id=uuid4(), days=days, **fields)


def give(one, plan=MONTH, now=NOW, terms=TERMS, **fields):
    return access.give(one, bought(**fields), plan, terms, now, fresh())


def package(one, now=NOW):
    more = Purchase(order_id=uuid4(), traffic_bytes=50 * GIB)
    return access.give(one, more, MORE, TERMS, now, fresh())


def test_a_purchase_runs_for_its_days_to_the_whole_second():
    one = new()

    give(one)

    assert one.state == STATE_ACTIVE
    assert one.until == NOW.replace(microsecond=0) + timedelta(days=30, seconds=1)
    assert (one.limit_bytes, one.devices, one.set_id) == (100 * GIB, 2, "all")


def test_a_day_may_be_shorter_where_plans_shall_be_seen_to_end():
    one = new()

    give(one, terms=Terms(day=timedelta(seconds=2)), days=3)

    assert one.until == NOW.replace(microsecond=0) + timedelta(seconds=7)


def test_days_and_traffic_that_are_left_are_kept():
    one = new()
    give(one)
    first, key = one.until, one.key
    access.use_traffic(one, 30 * GIB, TERMS)

    give(one, now=NOW + 10 * DAY)

    assert one.until == first + 30 * DAY
    assert (one.limit_bytes, one.used_bytes) == (170 * GIB, 0)
    assert one.key == key


def test_a_late_payment_counts_from_the_day_it_comes():
    one = new()
    give(one)
    late = one.until + 5 * DAY
    care.care(one, late, TERMS)
    assert one.state == STATE_SUSPENDED
    key = one.key

    give(one, now=late)

    assert one.until == late + 30 * DAY
    assert (one.state, one.key, one.delete_at) == (STATE_ACTIVE, key, None)


def test_another_plan_brings_its_own_terms_and_loses_no_day():
    one = new()
    give(one)
    first = one.until

    give(one, plan=EUROPE)

    assert one.until == first + 30 * DAY
    assert (one.plan, one.set_id, one.limit_bytes, one.devices) == ("vpn_eu", "eu", None, 0)


def test_the_trial_is_had_once_and_never_after_a_purchase():
    one = new()
    give(one, trial=True, days=3)
    with pytest.raises(TrialUsedError):
        give(one, trial=True, days=3)
    other = new()
    give(other)
    with pytest.raises(TrialUsedError):
        give(other, trial=True, days=3)


def test_one_period_is_renewed_once():
    one = new()
    give(one)
    period = one.until

    give(one, renews=period)

    with pytest.raises(StalePeriodError):
        give(one, renews=period)
    assert one.until == period + 30 * DAY


def test_a_purchase_of_nothing_is_refused():
    with pytest.raises(InvalidError):
        access.give(new(), bought(days=-1), MONTH, TERMS, NOW, fresh())


def test_traffic_is_added_to_a_running_limited_subscription_only():
    one = new()
    with pytest.raises(NoSubscriptionError):
        package(one)
    give(one, plan=EUROPE)
    with pytest.raises(InvalidError):
        package(one)
    give(one)

    package(one)

    assert one.limit_bytes == 150 * GIB


def test_used_up_traffic_suspends_and_a_package_brings_it_back():
    one = new()
    give(one)
    assert access.use_traffic(one, 79 * GIB, TERMS) == 0
    assert access.use_traffic(one, 2 * GIB, TERMS) == 81
    assert access.use_traffic(one, GIB, TERMS) == 0

    assert access.use_traffic(one, 20 * GIB, TERMS) == 100

    assert one.state == STATE_SUSPENDED
    assert access.entry_of(one, TERMS) is None
    package(one)
    assert one.state == STATE_ACTIVE
    assert one.limit_bytes - one.used_bytes == 50 * GIB


def test_however_much_is_counted_the_sum_can_be_stored():
    one = new()
    give(one)

    for _ in range(200):
        access.use_traffic(one, 1 << 56, TERMS)

    assert one.used_bytes < 1 << 63


def test_the_end_suspends_then_deletes_key_and_link():
    one = new()
    give(one)
    end = one.until

    assert care.care(one, end - timedelta(seconds=1), TERMS).causes == []
    assert care.care(one, end, TERMS).causes == [CAUSE_EXPIRED]
    assert (one.state, one.delete_at) == (STATE_SUSPENDED, end + 30 * DAY)
    assert care.care(one, end + 30 * DAY, TERMS).causes == [CAUSE_DELETED]
    assert (one.state, one.key, one.link) == (STATE_ENDED, None, None)


def test_grace_passes_traffic_on_and_then_suspends():
    one = new()
    give(one, terms=GRACE)
    end = one.until
    assert access.entry_of(one, GRACE).expires_at == end + 3 * DAY

    care.care(one, end, GRACE)

    assert (one.state, one.grace_until) == (STATE_GRACE, end + 3 * DAY)
    assert access.entry_of(one, GRACE).expires_at == end + 3 * DAY
    care.care(one, end + 3 * DAY, GRACE)
    assert (one.state, one.delete_at) == (STATE_SUSPENDED, end + 33 * DAY)


def test_observed_grace_gives_nothing_and_says_who_would_have_had_it():
    one = new()
    terms = Terms(grace_policy=GRACE_OBSERVE)
    give(one)

    found = care.care(one, one.until, terms)

    assert found.grace_observed
    assert one.state == STATE_SUSPENDED


def test_nobody_is_counted_who_would_have_no_grace_anyway():
    off, trial = new(), new()
    give(off)
    give(trial, trial=True, days=3)
    observe = Terms(grace_policy=GRACE_OBSERVE)

    assert not care.care(off, off.until, TERMS).grace_observed
    assert not care.care(trial, trial.until, observe).grace_observed


def test_a_trial_has_no_grace():
    one = new()
    give(one, trial=True, days=3, terms=GRACE)

    care.care(one, one.until, GRACE)

    assert one.state == STATE_SUSPENDED


def test_after_long_downtime_every_step_is_made_at_once():
    one = new()
    give(one, terms=GRACE)

    found = care.care(one, one.until + 100 * DAY, GRACE)

    assert found.causes == [CAUSE_EXPIRED, CAUSE_EXPIRED, CAUSE_DELETED]
    assert one.state == STATE_ENDED
    give(one, now=one.until + 100 * DAY)
    assert one.key is not None


def test_days_for_everybody_bring_back_who_ran_out_but_not_who_used_up():
    ran_out, used_up = new(), new()
    give(ran_out)
    care.care(ran_out, ran_out.until, TERMS)
    give(used_up)
    access.use_traffic(used_up, 200 * GIB, TERMS)
    now = ran_out.until + DAY

    access.extend(ran_out, 5, TERMS, now)
    before = used_up.until
    access.extend(used_up, 5, TERMS, NOW)

    assert (ran_out.state, ran_out.until) == (STATE_ACTIVE, access.whole(now + 5 * DAY))
    assert (used_up.state, used_up.until) == (STATE_SUSPENDED, before + 5 * DAY)


def test_taking_the_last_order_back_restores_what_was_before():
    one = new()
    give(one)
    access.use_traffic(one, 40 * GIB, TERMS)
    before = replace(one)
    given = give(one, plan=EUROPE)

    access.take_back(one, given, MONTH, TERMS, NOW)

    second = timedelta(seconds=1)
    assert (one.until, one.plan, one.set_id) == (before.until + second, "vpn_30", "all")
    assert (one.limit_bytes, one.state) == (60 * GIB, STATE_ACTIVE)


def test_taking_the_only_order_back_ends_access_now():
    one = new()
    given = give(one)

    access.take_back(one, given, None, TERMS, NOW + DAY)

    assert one.state == STATE_SUSPENDED
    assert one.until == access.whole(NOW + DAY)
    assert access.entry_of(one, TERMS) is None


def test_taking_a_package_back_takes_what_is_left_of_it():
    one = new()
    give(one)
    given = package(one)
    access.use_traffic(one, 120 * GIB, TERMS)

    access.take_back(one, given, MONTH, TERMS, NOW)

    assert one.limit_bytes == 100 * GIB
    assert one.state == STATE_SUSPENDED


def test_a_new_key_replaces_the_old_and_the_link_only_if_asked():
    one = new()
    with pytest.raises(NoSubscriptionError):
        access.rotate(one, fresh(), link_too=False)
    give(one)
    key, link = one.key, one.link

    assert access.rotate(one, fresh(), link_too=False) == key

    assert (one.key != key, one.link) == (True, link)
    access.rotate(one, fresh(), link_too=True)
    assert one.link != link


def test_too_many_devices_are_told_after_a_while_and_not_again_at_once():
    one = new()
    give(one)

    assert not access.count_devices(one, 5, TERMS, NOW)
    assert not access.count_devices(one, 2, TERMS, NOW + timedelta(minutes=10))
    assert not access.count_devices(one, 5, TERMS, NOW + timedelta(minutes=20))
    assert access.count_devices(one, 5, TERMS, NOW + timedelta(minutes=36))
    assert not access.count_devices(one, 5, TERMS, NOW + timedelta(hours=2))
    assert access.count_devices(one, 5, TERMS, NOW + timedelta(hours=25))
