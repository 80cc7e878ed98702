"""Reminders by the calendar of a person's zone, renewals in bounded attempts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from contracts import errors
from contracts.access import AccessPlan
from contracts.vpn import STATE_ACTIVE, STATE_SUSPENDED
from vpn.domain import access, care, reminders, renewals
from vpn.domain.access import Credentials, Purchase, Subscription
from vpn.domain.terms import QuietHours, Terms

MONTH = AccessPlan(id="vpn_30", price_credits=150, days=30)
TERMS = Terms(quiet=QuietHours(spread=timedelta(0)))
HOUR = timedelta(hours=1)


def subscription(until, zone="", **fields):
    one = Subscription(UUID(int=5), 7, until, state=STATE_ACTIVE, plan="vpn_30", **fields)
    one.time_zone = zone
    one.key = uuid4()
    return one


def told(one, begin, end, step=timedelta(minutes=15), terms=TERMS):
    """Who is told what when, looking every `step`."""
    found = []
    now = begin
    while now < end:
        left = care.care(one, now, terms).days_left
        if left is not None:
            found.append((left, now))
        now += step
    return found


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_three_two_one_and_no_days_before_are_told_once_each_in_the_morning():
    one = subscription(at("2026-11-20T18:00"))

    found = told(one, at("2026-11-10T00:00"), at("2026-11-21T00:00"))

    assert found == [
        (3, at("2026-11-17T09:00")),
        (2, at("2026-11-18T09:00")),
        (1, at("2026-11-19T09:00")),
        (0, at("2026-11-20T09:00")),
    ]


def test_what_is_due_now_hides_nothing_that_comes_soon():
    now = at("2026-11-20T18:00")
    one = subscription(now + timedelta(seconds=10))
    assert reminders.due(one, now, TERMS) == 0

    assert care.next_due(one, now, TERMS) == one.until


def test_nobody_is_woken_in_their_own_night():
    one = subscription(at("2026-11-20T18:00"), zone="Asia/Vladivostok")
    zone = ZoneInfo("Asia/Vladivostok")

    found = told(one, at("2026-11-10T00:00"), at("2026-11-21T00:00"))

    assert [left for left, _ in found] == [3, 2, 1]
    assert {now.astimezone(zone).hour for _, now in found} == {9}
    # It ends at four in the morning there: the last day has no hour for telling.
    assert one.until.astimezone(zone).hour == 4


@pytest.mark.parametrize(
    ("zone", "until"),
    [
        ("Europe/Berlin", "2026-03-30T12:00"),
        ("Europe/Berlin", "2026-10-26T12:00"),
        ("America/New_York", "2026-03-09T12:00"),
        ("Australia/Lord_Howe", "2026-10-05T12:00"),
        ("Australia/Sydney", "2026-04-06T12:00"),
        ("Australia/Sydney", "2026-10-05T12:00"),
        ("America/New_York", "2026-11-02T12:00"),
        ("UTC", "2027-03-02T12:00"),
        ("UTC", "2028-03-01T12:00"),
        ("Asia/Kolkata", "2026-01-01T12:00"),
        # In Greenwich it is another day when it ends.
        ("America/Los_Angeles", "2026-11-20T20:00"),
    ],
)
def test_clock_changes_and_calendars_move_no_reminder(zone, until):
    end = at(until, zone)
    one = subscription(end, zone=zone)

    found = told(one, end - timedelta(days=6), end + HOUR, timedelta(minutes=30))

    assert [left for left, _ in found] == [3, 2, 1, 0]
    assert {now.astimezone(ZoneInfo(zone)).strftime("%H:%M") for _, now in found} == {"09:00"}


def test_a_morning_the_clocks_jump_over_is_the_moment_after():
    terms = Terms(quiet=QuietHours(begin=22, end=2, spread=timedelta(0)))
    one = subscription(at("2026-03-29T12:00", "Europe/Berlin"), zone="Europe/Berlin")

    moment = reminders.moment_of(one, 0, terms)

    assert moment == at("2026-03-29T01:00")


def test_the_day_of_a_reminder_is_the_person_s():
    east = subscription(at("2026-11-20T05:00", "Asia/Tokyo"), zone="Asia/Tokyo")
    west = subscription(at("2026-11-20T20:00", "America/Lima"), zone="America/Lima")

    assert reminders.moment_of(east, 1, TERMS) == at("2026-11-19T09:00", "Asia/Tokyo")
    assert reminders.moment_of(west, 1, TERMS) == at("2026-11-19T09:00", "America/Lima")


def test_after_downtime_only_the_newest_is_told():
    one = subscription(at("2026-11-20T18:00"))

    found = told(one, at("2026-11-19T15:00"), at("2026-11-20T08:00"))

    assert found == [(1, at("2026-11-19T15:00"))]


def test_a_renewed_period_is_reminded_of_anew():
    one = subscription(at("2026-11-20T18:00"))
    told(one, at("2026-11-17T08:00"), at("2026-11-18T00:00"))

    one.until = at("2026-12-20T18:00")

    assert told(one, at("2026-11-18T08:00"), at("2026-12-17T10:00")) == [
        (3, at("2026-12-17T09:00"))
    ]


def test_who_does_not_want_reminders_gets_none():
    one = subscription(at("2026-11-20T18:00"))
    one.reminders = False

    assert told(one, at("2026-11-10T00:00"), at("2026-11-21T00:00")) == []
    assert reminders.next_at(one, at("2026-11-10T00:00"), TERMS) is None


def test_a_trial_is_reminded_on_its_last_two_days():
    one = subscription(at("2026-11-20T18:00"), trial=True)

    found = told(one, at("2026-11-17T12:00"), at("2026-11-21T00:00"))

    assert [left for left, _ in found] == [1, 0]


def test_mornings_are_spread_over_people():
    one = subscription(at("2026-11-20T18:00"))
    one.id = UUID(int=7_199)

    assert reminders.moment_of(one, 1, Terms()) == at("2026-11-19T09:00") + timedelta(seconds=7_199)


def test_what_is_due_next_is_never_missed_by_the_timer():
    """Looking only when `next_due` says so tells the same as looking all the time."""
    one = subscription(at("2026-11-20T18:00"), auto_renew=True)
    now, end = at("2026-11-10T00:00"), at("2026-11-30T00:00")
    found, attempts = [], []
    while (due := care.next_due(one, now, TERMS)) is not None and due < end:
        assert due >= now
        now = due
        done = care.care(one, now, TERMS)
        assert done
        if done.days_left is not None:
            found.append(done.days_left)
        if done.renewal_attempt:
            attempts.append(one.until - now)

    assert found == [3, 2, 1, 0]
    assert attempts == [24 * HOUR, 18 * HOUR, 12 * HOUR]


def test_renewal_is_asked_a_day_before_and_not_for_ever():
    one = subscription(at("2026-11-20T18:00"), auto_renew=True)

    asked = []
    now = one.until - timedelta(days=2)
    while now < one.until + timedelta(days=2):
        if care.care(one, now, TERMS).renewal_attempt:
            asked.append(one.until - now)
        now += timedelta(minutes=30)

    assert asked == [24 * HOUR, 18 * HOUR, 12 * HOUR]


def test_what_would_only_be_refused_again_is_not_asked_again():
    one = subscription(at("2026-11-20T18:00"), auto_renew=True)
    begin = one.until - timedelta(hours=24)
    care.care(one, begin, TERMS)

    renewals.refused(one, one.until, errors.UNKNOWN_PRODUCT, TERMS)

    assert renewals.next_at(one, begin, TERMS) is None


def test_short_credits_are_told_once_a_period_and_by_day():
    one = subscription(at("2026-11-21T02:00"), auto_renew=True)
    night = one.until - timedelta(hours=24)
    assert care.care(one, night, TERMS).renewal_attempt == 1

    assert renewals.refused(one, one.until, errors.INSUFFICIENT_CREDITS, TERMS)

    assert not care.care(one, night, TERMS).credits_short
    assert reminders.short_next_at(one, night, TERMS) == at("2026-11-20T09:00")
    assert care.care(one, at("2026-11-20T09:00"), TERMS).credits_short
    renewals.refused(one, one.until, errors.INSUFFICIENT_CREDITS, TERMS)
    assert not care.care(one, at("2026-11-20T12:00"), TERMS).credits_short


def test_a_refusal_of_another_period_says_nothing():
    one = subscription(at("2026-11-21T02:00"), auto_renew=True)

    assert not renewals.refused(one, one.until - HOUR, errors.INSUFFICIENT_CREDITS, TERMS)
    assert one.short_for is None


def test_a_purchase_begins_a_period_with_attempts_of_its_own():
    one = subscription(at("2026-11-20T18:00"), auto_renew=True)
    now = one.until - timedelta(hours=24)
    care.care(one, now, TERMS)
    bought = Purchase(order_id=uuid4(), days=30, renews=one.until)

    access.give(one, bought, MONTH, TERMS, now, Credentials(uuid4(), "x"))

    assert renewals.next_at(one, now, TERMS) == one.until - timedelta(hours=24)


def spent(until, **fields):
    """Somebody whose traffic is used up before their days are."""
    one = subscription(until, auto_renew=True, limit_bytes=5, **fields)
    access.use_traffic(one, 5, TERMS)
    assert one.state == STATE_SUSPENDED
    return one


def test_who_used_up_their_traffic_is_renewed_all_the_same():
    one = spent(at("2026-11-20T18:00"))
    begin = one.until - timedelta(hours=24)

    assert care.next_due(one, begin - HOUR, TERMS) == begin
    assert care.care(one, begin, TERMS).renewal_attempt == 1
    assert renewals.refused(one, one.until, errors.INSUFFICIENT_CREDITS, TERMS)
    assert care.care(one, begin, TERMS).credits_short
    assert renewals.credited(one, begin + HOUR, TERMS)
    assert care.care(one, begin + HOUR, TERMS).renewal_attempt == 2

    bought = Purchase(order_id=uuid4(), days=30, renews=one.until)
    access.give(one, bought, MONTH, TERMS, begin, Credentials(uuid4(), "x"))
    assert (one.state, one.spent) == (STATE_ACTIVE, False)


def test_who_used_up_traffic_and_days_is_not_renewed_any_more():
    one = spent(at("2026-11-20T18:00"))

    assert not care.care(one, one.until, TERMS)
    assert not renewals.credited(one, one.until, TERMS)
    assert care.next_due(one, one.until, TERMS) == one.delete_at
