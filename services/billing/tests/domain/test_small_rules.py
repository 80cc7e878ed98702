from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from billing.domain import history, prices, quotas, tiers
from billing.domain.accounts import Account
from billing.domain.errors import PriceChangedError, PriceExpiredError, QuotaExceededError
from billing.domain.history import NEWEST, Cursor, Entry, Gain
from billing.domain.orders import digest_of
from billing.domain.pace import Pace
from billing.domain.quotas import Quota
from billing.testing import ENHANCE, PRODUCT_SCENE, order_of
from chassis.clock import new_id

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
VALID = timedelta(minutes=15)


def test_the_shop_day_begins_at_the_shops_midnight():
    moscow = ZoneInfo("Europe/Moscow")

    assert quotas.shop_day(NOW, moscow) == date(2026, 11, 21)
    assert quotas.day_start(date(2026, 11, 21), moscow) == NOW - timedelta(minutes=90)


def test_a_quota_of_another_day_counts_nothing():
    quota = Quota(1, ENHANCE.id, date(2026, 11, 19), used=5)

    quotas.check(quota, ENHANCE, "none", date(2026, 11, 20))
    quotas.use(quota, date(2026, 11, 20))

    assert (quota.day, quota.used) == (date(2026, 11, 20), 1)


def test_a_used_up_quota_refuses_only_limited_tiers():
    quota = Quota(1, ENHANCE.id, date(2026, 11, 20), used=5)

    quotas.check(quota, ENHANCE, "vip", quota.day)
    with pytest.raises(QuotaExceededError):
        quotas.check(quota, ENHANCE, "none", quota.day)
    assert quotas.left_today(ENHANCE, "none", 7) == 0
    assert quotas.left_today(ENHANCE, "black_gold", 7) is None


def test_a_void_of_yesterday_gives_nothing_back_today():
    quota = Quota(1, ENHANCE.id, date(2026, 11, 20), used=2)

    quotas.give_back(quota, date(2026, 11, 19))

    assert quota.used == 2


def test_a_changed_price_is_told_before_an_old_one():
    with pytest.raises(PriceChangedError):
        prices.check_shown(9, NOW - 2 * VALID, current=10, now=NOW, valid=VALID)
    with pytest.raises(PriceExpiredError):
        prices.check_shown(10, NOW - 2 * VALID, current=10, now=NOW, valid=VALID)


def test_a_tier_ends_at_its_moment():
    account = Account(1, tier="black_gold", tier_until=NOW)

    assert tiers.tier_of(account, NOW - timedelta(seconds=1)) == "black_gold"
    assert tiers.tier_of(account, NOW) == "none"
    assert [tiers.lane_of(tier) for tier in ("none", "vip", "black_gold")] == [
        "regular",
        "regular",
        "priority",
    ]


def test_the_digest_names_what_was_confirmed_and_nothing_else():
    order = order_of(1, NOW)

    assert digest_of(order) == digest_of(replace(order, priced_at=NOW + VALID, order_id=new_id()))
    for changed in ({"user_id": 2}, {"price_credits": 1}, {"params": {"a": "b"}}):
        assert digest_of(order) != digest_of(replace(order, **changed))
    ordered, reversed_ = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert digest_of(replace(order, params=ordered)) == digest_of(replace(order, params=reversed_))


def test_the_wait_is_learnt_and_shared_by_the_servers_seen():
    pace = Pace({PRODUCT_SCENE.id: 10.0}, seen_within=timedelta(minutes=10))
    alone = pace.eta_seconds("image", {PRODUCT_SCENE.id: 3}, {PRODUCT_SCENE.id: 1}, NOW)
    for server in ("one", "two"):
        pace.started("image", server, NOW)
    together = pace.eta_seconds("image", {PRODUCT_SCENE.id: 3}, {PRODUCT_SCENE.id: 1}, NOW)
    pace.finished(PRODUCT_SCENE.id, 20.0)

    assert (alone, together) == (35.0, 17.5)
    assert pace.seconds_of(PRODUCT_SCENE.id) == 12.0
    assert pace.servers("image", NOW + timedelta(minutes=11)) == 1


def entry(number, kind="hold", order_id=None, lot=1, amount=5):
    routes = {"hold": ("available", "held"), "post": ("held", "house:revenue")}
    debit, credit = routes.get(kind, ("house:gifts", "available"))
    return Entry(number, NOW, kind, debit, credit, lot, amount, order_id, "", "")


def test_one_movement_through_several_lots_is_one_line():
    order = new_id()
    entries = [entry(4, "post", order), entry(3, "hold", order, 2), entry(2, "hold", order, 1)]

    lines, goes_on = history.page([*entries, entry(1, "trial")], 10, more=False)

    assert [(line.kind, line.credits, line.amount) for line in lines] == [
        ("post", 0, 5),
        ("hold", -10, 10),
        ("trial", 5, 5),
    ]
    assert goes_on == 0


def test_two_grants_of_one_moment_are_two_lines():
    lines, _ = history.page([entry(2, "grant", lot=2), entry(1, "grant", lot=1)], 10, more=False)

    assert len(lines) == 2


def test_a_page_ends_between_movements_and_says_where_to_go_on():
    orders = [new_id() for _ in range(3)]
    entries = [entry(6 - index, "hold", order) for index, order in enumerate(orders)]

    cut, goes_on = history.page(entries, 10, more=True)
    short, rest = history.page(entries, 1, more=False)

    assert ([line.order_id for line in cut], goes_on) == (orders[:2], 5)
    assert ([line.order_id for line in short], rest) == (orders[:1], 6)


def gain(minutes, kind="discount"):
    return Gain(NOW + timedelta(minutes=minutes), kind, "", None, 50, "draw")


def test_gains_stand_between_movements_and_each_is_shown_once():
    entries = [entry(2, "grant", lot=2), entry(1, "grant", lot=1)]
    lines, _ = history.page(entries, 9, more=False)
    gains = [gain(2), gain(2, "tier"), gain(1), gain(-1)]
    asked, pages = NEWEST, []
    while asked is not None:
        assert len(pages) < 9, "it ends"
        before = asked.before
        shown, asked = history.merge(
            [line for line in lines if line.first < asked.number],
            [each for each in gains if each.at < before],
            1,
            asked=asked,
            next_number=0,
        )
        pages.append(shown)

    assert [each for page in pages for each in page] == [*gains[:3], *lines, gains[3]]
    assert pages[0] == gains[:2], "of one moment: together"


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("", NEWEST),
        ("7", Cursor(7, None)),
        (Cursor(7, NOW).wire(), Cursor(7, NOW)),
        (f"7-{'9' * 18}", Cursor(7, NEWEST.before)),
        ("7-", None),
        ("7-1-1", None),
        ("1" * 11, None),
    ],
)
def test_a_cursor_comes_back_as_it_was_given_or_not_at_all(text, cursor):
    assert history.cursor_of(text) == cursor
