"""Orders: accepted, refused, answered; what each leaves on the desk."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from billing.domain import orders
from billing.domain.accounts import Account, Hold
from billing.domain.discounts import Discount
from billing.domain.errors import (
    AlreadyFinishedError,
    InDebtError,
    InFlightCapError,
    InsufficientCreditsError,
    NoAccountError,
    NotYoursError,
    PriceChangedError,
    PriceExpiredError,
    QueueFullError,
    QuotaExceededError,
    UnknownWorkflowError,
)
from billing.domain.ledger import Ledger
from billing.domain.orders import Desk, Order
from billing.domain.quotas import Quota
from billing.domain.terms import Terms
from billing.testing import ENHANCE, ORBIT, PRODUCT_SCENE, WORKFLOWS, order_of
from contracts.media import MediaRef

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = date(2026, 11, 20)
TICK = timedelta(microseconds=1)
TERMS = Terms(zone=ZoneInfo("UTC"), in_flight_max=3)
PHOTO = MediaRef(name="photo", object_key="k", sha256="0" * 64, mime="image/png", size_bytes=1)


def desk_with(amount=100, **fields):
    account, ledger = Account(1), Ledger(NOW)
    if amount:
        ledger.grant(account, "paid", amount)
    values = {"rooms": {"image": 5, "video": 5}, **fields}
    return Desk(ledger, {1: account}, TODAY, **values)


def place(desk, workflow=PRODUCT_SCENE, **fields):
    command = order_of(1, NOW, workflow=workflow, **fields)
    return orders.place(command, b"digest", desk, WORKFLOWS, TERMS)


def placed(workflow=PRODUCT_SCENE, **fields):
    desk = desk_with(**fields)
    return place(desk, workflow), desk


def test_an_accepted_order_says_all_its_job_needs():
    desk = desk_with()
    command = order_of(1, NOW, workflow=ORBIT)

    order = orders.place(command, b"digest", desk, WORKFLOWS, TERMS)

    expiry = NOW + timedelta(minutes=30 + 15 + 10)
    assert order == Order(
        order_id=command.order_id,
        user_id=1,
        workflow_id="video.orbit",
        catalogue_version=1,
        price_credits=30,
        digest=b"digest",
        placed_at=NOW,
        pool="video",
        lane="regular",
        start_before=NOW + timedelta(minutes=30),
        state="accepted",
        version=1,
        hold=Hold(command.order_id, 1, 30, expiry, "pending", ((1, 30),), None),
        base_price_credits=30,
    )
    assert desk.rooms == {"image": 5, "video": 4}
    assert (desk.used, desk.quotas, desk.discounts_used) == ({}, {}, [])


def test_the_order_of_a_higher_tier_goes_first():
    desk = desk_with()
    desk.accounts[1].tier = "black_gold"

    assert place(desk).lane == "priority"
    desk.accounts[1].tier_until = NOW
    assert place(desk).lane == "regular"


def test_a_discount_is_used_by_the_order_it_makes_cheaper():
    discount = Discount(1, "draw:2026-11-20", 30, NOW + TICK)
    desk = desk_with(discounts={1: [discount]})

    order = place(desk, ORBIT, price_credits=21)
    other = place(desk, ORBIT)

    assert (order.price_credits, order.base_price_credits, order.discount_percent) == (21, 30, 30)
    assert (order.hold.amount, discount.order_id) == (21, order.order_id)
    assert desk.discounts_used == [discount]
    assert (other.price_credits, other.discount_percent) == (30, 0)


def test_a_free_order_counts_for_its_day():
    desk = desk_with(0)

    order = place(desk, ENHANCE)

    quota = Quota(1, "image.enhance", TODAY, 1)
    assert (order.hold.amount, order.hold.quota_day) == (0, TODAY)
    assert desk.quotas == desk.used == {(1, "image.enhance"): quota}


def test_the_quota_that_is_there_counts_on():
    quota = Quota(1, "image.enhance", TODAY, 4)
    desk = desk_with(0, quotas={(1, "image.enhance"): quota})

    place(desk, ENHANCE)
    with pytest.raises(QuotaExceededError) as refused:
        place(desk, ENHANCE)

    assert (quota.used, refused.value.limit) == (5, 5)
    assert desk.used == {(1, "image.enhance"): quota}
    desk.accounts[1].tier = "vip"
    place(desk, ENHANCE)
    assert quota.used == 6, "it may lose the tier today"


def test_the_most_orders_at_once_are_in_flight_and_no_more():
    desk = desk_with()
    for _ in range(3):
        place(desk)

    with pytest.raises(InFlightCapError) as refused:
        place(desk)

    assert refused.value.limit == 3


def test_the_last_place_in_a_queue_is_taken_once():
    desk = desk_with(rooms={"image": 1})
    place(desk)

    with pytest.raises(QueueFullError):
        place(desk)
    with pytest.raises(QueueFullError):
        place(desk, ORBIT)
    assert desk.rooms == {"image": 0}


@pytest.mark.parametrize(
    ("fields", "error", "price"),
    [
        ({"price_credits": 9}, PriceChangedError, 10),
        ({"shown": timedelta(minutes=15) + TICK}, PriceExpiredError, 10),
    ],
)
def test_a_price_shown_wrongly_or_long_ago_is_told_anew(fields, error, price):
    with pytest.raises(error) as refused:
        place(desk_with(), **fields)

    assert refused.value.price_credits == price
    assert (refused.value.available_credits, refused.value.limit) == (None, None)


def test_a_price_holds_until_its_last_moment():
    assert place(desk_with(), shown=timedelta(minutes=15)).state == "accepted"


def test_too_few_credits_and_debt_are_told_with_what_there_is():
    poor, owing = desk_with(9), desk_with(9)
    owing.ledger.adjust(owing.accounts[1], -10, "wrong")

    with pytest.raises(InsufficientCreditsError) as refused:
        place(poor)
    with pytest.raises(InDebtError):
        place(owing)

    assert (refused.value.available_credits, refused.value.code) == (9, "insufficient_credits")
    assert (poor.rooms["image"], poor.accounts[1].in_flight) == (5, 0)


def test_nobody_orders_what_is_unknown_or_without_an_account():
    desk = desk_with()
    unknown = replace(order_of(1, NOW), workflow_id="image.gone")

    with pytest.raises(UnknownWorkflowError):
        orders.place(unknown, b"", desk, WORKFLOWS, TERMS)
    with pytest.raises(NoAccountError):
        orders.place(order_of(2, NOW), b"", desk, WORKFLOWS, TERMS)


def test_a_refused_order_is_kept_with_its_reason():
    command = replace(order_of(1, NOW), workflow_id="x" * 101)

    order = orders.refused(command, b"digest", QuotaExceededError(limit=5), NOW)

    assert order == Order(
        order_id=command.order_id,
        user_id=1,
        workflow_id="x" * 100,
        catalogue_version=1,
        price_credits=10,
        digest=b"digest",
        placed_at=NOW,
        state="refused",
        version=1,
        reason="quota_exceeded",
        finished_at=NOW,
        hold=None,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"user_id": 2},
        {"workflow_id": "video.zoom"},
        {"catalogue_version": 2},
        {"price_credits": 1},
        {"inputs": (PHOTO,)},
        {"params": {"a": "b"}},
    ],
)
def test_whatever_was_confirmed_makes_another_order(changed):
    command = order_of(1, NOW)
    digest = orders.digest_of(command)

    assert orders.digest_of(replace(command, **changed)) != digest
    assert len(digest) == 16


# --- what becomes of it ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["accepted", "running"])
def test_a_cancel_is_marked_once(state):
    order, _ = placed()
    order.state = state

    assert orders.request_cancel(order, 1) is True
    assert orders.request_cancel(order, 1) is False
    assert order.cancel_requested is True


@pytest.mark.parametrize("state", ["completed", "refunded", "refused"])
def test_an_order_that_has_ended_is_not_cancelled(state):
    order, _ = placed()
    order.state = state

    with pytest.raises(AlreadyFinishedError):
        orders.request_cancel(order, 1)
    with pytest.raises(NotYoursError):
        orders.request_cancel(order, 2)
    assert order.cancel_requested is False


def test_a_result_completes_and_charges():
    order, desk = placed()
    later = Ledger(NOW + TICK)

    assert orders.complete(order, b"out", desk.accounts[1], later) is True

    assert (order.state, order.outputs, order.version) == ("completed", b"out", 2)
    assert (order.finished_at, order.gift, order.hold.state) == (NOW + TICK, False, "posted")
    assert orders.complete(order, b"again", desk.accounts[1], later) is False
    assert (order.outputs, order.version) == (b"out", 2)


def test_a_failure_refunds_and_gives_the_quota_back():
    order, desk = placed(ENHANCE)
    quota = desk.quotas[1, "image.enhance"]
    later = Ledger(NOW + TICK)

    assert orders.refund(order, "node_error", desk.accounts[1], later, quota) is True

    assert (order.state, order.reason, order.version) == ("refunded", "node_error", 2)
    assert (order.finished_at, order.hold.state, quota.used) == (NOW + TICK, "voided", 0)
    assert orders.refund(order, "timeout", desk.accounts[1], later, quota) is False
    assert (order.reason, order.version, quota.used) == ("node_error", 2, 0)


def test_a_refund_says_why_in_the_ledger():
    order, desk = placed()

    orders.refund(order, "node_error", desk.accounts[1], desk.ledger, None)

    last = desk.ledger.transfers[-1]
    assert (last.kind, last.reason, last.order_id) == ("void", "node_error", order.order_id)


def test_a_free_order_is_refunded_without_its_quota_at_hand():
    order, desk = placed(ENHANCE)

    assert orders.refund(order, "timeout", desk.accounts[1], desk.ledger, None) is True
    assert desk.quotas[1, "image.enhance"].used == 1


def test_a_paid_order_gives_no_quota_back():
    order, desk = placed()
    quota = Quota(1, order.workflow_id, TODAY, 3)

    orders.refund(order, "node_error", desk.accounts[1], desk.ledger, quota)

    assert quota.used == 3


def test_an_order_that_was_never_held_neither_completes_nor_is_refunded():
    order = orders.refused(order_of(1, NOW), b"", QuotaExceededError(limit=5), NOW)
    ledger = Ledger(NOW)

    assert orders.complete(order, b"out", Account(1), ledger) is False
    assert orders.refund(order, "x", Account(1), ledger, None) is False
    assert orders.is_overdue(order, NOW) is False
    assert (order.state, order.version, ledger.transfers) == ("refused", 1, [])


def test_a_result_after_the_hold_expired_is_a_gift_once():
    order, desk = placed()
    orders.refund(order, "hold_expired", desk.accounts[1], desk.ledger, None, expired=True)

    assert order.hold.state == "expired"
    assert orders.complete(order, b"out", desk.accounts[1], desk.ledger) is True
    assert (order.state, order.gift, order.outputs, order.version) == ("refunded", True, b"out", 3)
    assert orders.complete(order, b"again", desk.accounts[1], desk.ledger) is False
    assert desk.accounts[1].available == 100


def test_a_result_after_a_cancel_or_a_failure_is_no_gift():
    cancelled, desk = placed()
    orders.request_cancel(cancelled, 1)
    orders.refund(cancelled, "hold_expired", desk.accounts[1], desk.ledger, None, expired=True)
    failed = place(desk)
    orders.refund(failed, "node_error", desk.accounts[1], desk.ledger, None)

    for order in (cancelled, failed):
        assert orders.complete(order, b"out", desk.accounts[1], desk.ledger) is False
        assert (order.gift, order.outputs, order.version) == (False, b"", 2)


def test_a_hold_is_overdue_from_its_moment_until_it_ends():
    order, desk = placed()
    expiry = order.hold.expires_at

    assert [orders.is_overdue(order, each) for each in (expiry - TICK, expiry)] == [False, True]
    orders.refund(order, "hold_expired", desk.accounts[1], desk.ledger, None, expired=True)
    assert orders.is_overdue(order, expiry) is False
