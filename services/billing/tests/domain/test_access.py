"""Access orders: what can be bought, what is held for it, and which plans make sense."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from billing.domain import access
from billing.domain.accounts import Account, Hold
from billing.domain.errors import (
    AccessRefusedError,
    InFlightCapError,
    InsufficientCreditsError,
    NoAccountError,
    PriceChangedError,
    PriceExpiredError,
)
from billing.domain.ledger import Ledger
from billing.domain.orders import Order
from billing.domain.terms import Terms
from billing.testing import order_of
from contracts.access import AccessPlan, BuyAccess, RenewAccess
from contracts.ids import RENEWAL_ORDERS_MAX
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
TERMS = Terms(zone=ZoneInfo("UTC"), in_flight_max=1, access_hold=5 * HOUR)


def plan(**fields):
    return AccessPlan(**{"id": "vpn_30", "price_credits": 100, "days": 30, **fields})


def purchase(**fields):
    values = {
        "order_id": UUID(int=1),
        "user_id": 7,
        "plan_id": "vpn_30",
        "price_credits": 100,
        "priced_at": NOW,
    }
    return BuyAccess(**{**values, **fields})


def renewal(**fields):
    values = {
        "order_id": UUID(int=2),
        "user_id": 7,
        "subscription_id": UUID(int=3),
        "plan_id": "vpn_30",
        "period_end": NOW + 20 * HOUR,
    }
    return RenewAccess(**{**values, **fields})


@pytest.fixture
def ledger():
    return Ledger(NOW)


@pytest.fixture
def account(ledger):
    opened = Account(7)
    ledger.grant(opened, "paid", 250)
    return opened


def held(order_id, placed_by):
    expiry = NOW + 5 * HOUR
    return Order(
        order_id=order_id,
        user_id=7,
        workflow_id="vpn_30",
        catalogue_version=1,
        price_credits=100,
        digest=b"",
        placed_at=NOW,
        pool="vpn",
        lane=placed_by,
        hold=Hold(order_id, 7, 100, expiry, "pending", ((1, 100),)),
        base_price_credits=100,
    )


def test_a_purchase_holds_the_price_until_vpn_answers(ledger, account):
    order = access.buy(purchase(), plan(), account, ledger, TERMS)

    assert order == held(UUID(int=1), "bought")
    assert (account.available, account.held) == (150, 100)
    assert access.is_access(order)


def test_a_renewal_holds_what_the_plan_costs_today(ledger, account):
    order = access.renew(renewal(), plan(), account, ledger, TERMS)

    assert order == held(UUID(int=2), "renewal")


@pytest.mark.parametrize(
    ("left", "held_for"),
    [
        (20 * HOUR + 4 * TICK, 5 * HOUR),
        (20 * HOUR - 4 * TICK, 5 * HOUR - TICK),
        (4 * HOUR, HOUR),
        (HOUR / 2, HOUR / 6),
        (-HOUR, HOUR / 6),
    ],
)
def test_a_renewal_nobody_answers_is_voided_with_time_to_ask_again(ledger, account, left, held_for):
    order = access.renew(renewal(period_end=NOW + left), plan(), account, ledger, TERMS)

    assert order.hold.expires_at - NOW == held_for


def test_a_day_has_room_for_several_holds_that_nobody_answers():
    shop, end, now, holds = Terms(zone=ZoneInfo("UTC")), NOW + 24 * HOUR, NOW, []

    while now < end:
        holds.append(shop.access_hold_expiry(now, end) - now)
        now += holds[-1]

    assert holds[0] == 6 * HOUR
    assert sum(holds[:3], timedelta(0)) < 24 * HOUR
    # And the period's orders do not run out before it ends.
    assert sum(holds[:RENEWAL_ORDERS_MAX], timedelta(0)) > 23 * HOUR


def test_people_have_a_limit_of_orders_at_once_and_the_clock_has_none(ledger, account):
    access.buy(purchase(), plan(), account, ledger, TERMS)

    with pytest.raises(InFlightCapError) as refused:
        access.buy(purchase(), plan(), account, ledger, TERMS)
    access.renew(renewal(), plan(), account, ledger, TERMS)

    assert (refused.value.limit, account.in_flight) == (1, 2)


def test_a_price_shown_wrongly_or_long_ago_is_told_anew(ledger, account):
    last = NOW - TERMS.price_valid

    with pytest.raises(PriceChangedError) as changed:
        access.buy(purchase(price_credits=99), plan(), account, ledger, TERMS)
    with pytest.raises(PriceExpiredError) as expired:
        access.buy(purchase(priced_at=last - TICK), plan(), account, ledger, TERMS)
    access.buy(purchase(priced_at=last), plan(), account, ledger, TERMS)

    assert changed.value.price_credits == expired.value.price_credits == 100


def test_what_is_not_sold_is_refused(ledger, account):
    for refuse in (
        lambda: access.buy(purchase(), None, account, ledger, TERMS),
        lambda: access.renew(renewal(), None, account, ledger, TERMS),
        lambda: access.renew(renewal(), plan(kind="trial"), account, ledger, TERMS),
        lambda: access.renew(renewal(), plan(kind="traffic"), account, ledger, TERMS),
    ):
        with pytest.raises(AccessRefusedError) as refused:
            refuse()
        assert refused.value.code == "unknown_product"
    assert account.held == 0


def test_nobody_buys_without_an_account_or_enough_credits(ledger, account):
    with pytest.raises(NoAccountError):
        access.buy(purchase(), plan(), None, ledger, TERMS)
    with pytest.raises(NoAccountError):
        access.renew(renewal(), plan(), None, ledger, TERMS)
    with pytest.raises(InsufficientCreditsError) as refused:
        access.renew(renewal(), plan(price_credits=251), account, ledger, TERMS)

    assert refused.value.available_credits == 250


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (purchase(), [{"user_id": 8}, {"plan_id": "vpn_90"}, {"price_credits": 99}]),
        (
            renewal(),
            [
                {"user_id": 8},
                {"plan_id": "vpn_90"},
                {"subscription_id": UUID(int=4)},
                {"period_end": NOW},
            ],
        ),
    ],
)
def test_two_commands_are_one_order_if_they_ask_for_the_same(command, changes):
    digest = access.digest_of(command)

    assert access.digest_of(replace(command, order_id=UUID(int=9))) == digest
    assert len(digest) == 16
    for changed in changes:
        assert access.digest_of(replace(command, **changed)) != digest


def test_a_later_attempt_or_look_at_the_price_is_the_same_order():
    assert access.digest_of(renewal(attempt=2)) == access.digest_of(renewal())
    assert access.digest_of(purchase(priced_at=NOW - HOUR)) == access.digest_of(purchase())


def test_an_order_is_of_the_kind_of_its_plan(ledger, account):
    order = access.buy(purchase(), plan(), account, ledger, TERMS)

    assert access.kind_of(order, {"vpn_30": plan(kind="traffic")}) == "traffic"
    assert access.kind_of(order, {}) == "plan", "sold no more"
    assert not access.is_access(Order(UUID(int=4), 7, "image.x", 1, 5, b"", NOW, pool="image"))
    assert order_of(7, NOW).workflow_id != order.workflow_id


# --- which plans make sense --------------------------------------------------------------------

NAME = "id: vpn_, then lower case letters, digits, _"
DAYS = "vpn_30: days: 1 to 3660; traffic_gib: at least 0"
TRAFFIC = "vpn_30: traffic_gib: at least 1, and no days"
PRICE = f"vpn_30: price_credits: 0 to {CREDITS_MAX}"
FREE = "vpn_30: price_credits: only a trial is free"


def traffic(**fields):
    return plan(**{"kind": "traffic", "days": 0, "traffic_gib": 1, **fields})


def test_a_gibibyte_is_what_traffic_is_sold_by():
    assert access.GIB == 1_073_741_824


def test_plans_at_their_limits_make_sense():
    offered = [
        plan(id="vpn_a", price_credits=1, days=1),
        plan(id="vpn_" + "b" * 28, price_credits=CREDITS_MAX, days=3_660, traffic_gib=1_000_000),
        plan(id="vpn_c", kind="trial", price_credits=0),
        traffic(id="vpn_d"),
        traffic(id="vpn_e", traffic_gib=1_000_000),
    ]

    assert access.problems(offered) == []


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ([plan(id="30")], [f"30: {NAME}"]),
        ([plan(id="vpn_")], [f"vpn_: {NAME}"]),
        ([plan(id="vpn_" + "b" * 29)], [f"vpn_{'b' * 29}: {NAME}"]),
        ([plan(), plan()], ["vpn_30: id: stands twice"]),
        ([plan(kind="gift")], ["vpn_30: kind: gift is not known"]),
        ([plan(kind="trial", price_credits=-1)], [PRICE]),
        ([plan(price_credits=CREDITS_MAX + 1)], [PRICE]),
        ([plan(price_credits=0)], [FREE]),
        ([traffic(price_credits=0)], [FREE]),
        ([plan(days=0)], [DAYS]),
        ([plan(days=3_661)], [DAYS]),
        ([plan(traffic_gib=-1)], [DAYS]),
        ([plan(traffic_gib=1_000_001)], [DAYS]),
        ([traffic(days=1)], [TRAFFIC]),
        ([traffic(traffic_gib=0)], [TRAFFIC]),
        ([traffic(traffic_gib=1_000_001)], [TRAFFIC]),
        ([plan(days=0), plan(id="vpn_90", price_credits=0)], [DAYS, "vpn_90" + FREE[6:]]),
    ],
)
def test_a_plan_that_makes_no_sense_is_named_with_its_field(wrong, found):
    assert access.problems(wrong) == found
