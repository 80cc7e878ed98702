"""Refunds of orders: never more than was charged, into the lots it came from, debt first."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain import order_refunds
from billing.domain.accounts import PENDING, POSTED, VOIDED, Account, Hold
from billing.domain.books import replay
from billing.domain.errors import AlreadyRefundedError, InvalidError, NotChargedError
from billing.domain.ledger import Ledger
from billing.domain.order_refunds import OrderRefund
from billing.domain.orders import Order
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ORDER = UUID(int=5)


def order_with(hold):
    return Order(ORDER, 1, "vpn_30", 1, hold.amount if hold else 0, b"", NOW, hold=hold)


def refund_of(credits_, owed=0):
    return OrderRefund(UUID(int=credits_), ORDER, 1, credits_, owed, "why", "op", "")


def spent(ledger, account, amount):
    """An order that was charged `amount`."""
    hold = ledger.hold(account, ORDER, amount, NOW + DAY)
    ledger.post(account, hold)
    return order_with(hold)


@pytest.fixture
def account():
    """Lots 1 trial 20, 2 bonus 30, 3 paid 100."""
    opened, ledger = Account(1), Ledger(NOW)
    ledger.open_trial(opened, 20, 2 * DAY)
    ledger.grant(opened, "bonus", 30, expires_at=NOW + DAY)
    ledger.grant(opened, "paid", 100)
    return opened


@pytest.mark.parametrize("state", [PENDING, VOIDED, "expired"])
def test_only_what_was_charged_can_be_given_back(state):
    with pytest.raises(NotChargedError):
        order_refunds.amount_of(order_with(Hold(ORDER, 1, 10, NOW, state)), None, [])
    with pytest.raises(NotChargedError):
        order_refunds.amount_of(order_with(None), None, [])
    with pytest.raises(NotChargedError):
        order_refunds.amount_of(order_with(Hold(ORDER, 1, 0, NOW, POSTED)), None, [])


def test_a_refund_is_of_all_that_is_left_or_of_a_part_of_it():
    order = order_with(Hold(ORDER, 1, 10, NOW, POSTED))

    assert order_refunds.amount_of(order, None, []) == 10
    assert order_refunds.amount_of(order, 1, []) == 1
    assert order_refunds.amount_of(order, None, [refund_of(3), refund_of(4)]) == 3
    assert order_refunds.amount_of(order, 3, [refund_of(3), refund_of(4)]) == 3
    assert order_refunds.left_of(order, [refund_of(3)]) == 7
    assert order_refunds.left_of(order_with(None), []) == 0
    for asked in (0, -1, 4):
        with pytest.raises(InvalidError):
            order_refunds.amount_of(order, asked, [refund_of(3), refund_of(4)])
    with pytest.raises(AlreadyRefundedError):
        order_refunds.amount_of(order, None, [refund_of(10)])
    with pytest.raises(AlreadyRefundedError):
        order_refunds.amount_of(order, 1, [refund_of(10)])


@pytest.mark.parametrize(
    ("already", "amount", "parts"),
    [
        (0, 60, ((3, 10), (2, 30), (1, 20))),
        (0, 5, ((3, 5),)),
        (0, 15, ((3, 10), (2, 5))),
        (5, 5, ((3, 5),)),
        (5, 10, ((3, 5), (2, 5))),
        (10, 30, ((2, 30),)),
        (41, 19, ((1, 19),)),
    ],
)
def test_what_was_spent_last_comes_back_first(already, amount, parts):
    assert order_refunds.parts_of(((1, 20), (2, 30), (3, 10)), already, amount) == parts


def test_each_part_returns_to_its_lot_and_says_why(account):
    ledger = Ledger(NOW)
    order = spent(ledger, account, 60)
    told = len(ledger.transfers)

    owed = order_refunds.give_back(order, 15, [], account, ledger, "it was late")
    order_refunds.give_back(order, 45, [refund_of(15)], account, ledger, "all of it")

    assert owed == 0
    assert [each[2:] for each in ledger.transfers[told:]] == [
        (3, "house:revenue", "available", 10, "credit_back", ORDER, "it was late"),
        (2, "house:revenue", "available", 5, "credit_back", ORDER, "it was late"),
        (2, "house:revenue", "available", 25, "credit_back", ORDER, "all of it"),
        (1, "house:revenue", "available", 20, "credit_back", ORDER, "all of it"),
    ]
    assert {number: lot.remaining for number, lot in account.lots.items()} == {1: 20, 2: 30, 3: 100}
    assert (account.available, account.held) == (150, 0)


def test_debt_is_paid_first(account):
    ledger = Ledger(NOW)
    order = spent(ledger, account, 150)
    ledger.adjust(account, -40, "counted twice")

    owed = order_refunds.give_back(order, 100, [], account, ledger, "why")

    assert (owed, account.debt, account.available) == (40, 0, 60)


def test_an_expired_lot_lives_on_for_a_day_with_what_came_back(account):
    order = spent(Ledger(NOW), account, 60)
    later = NOW + 5 * DAY

    order_refunds.give_back(order, 60, [], account, Ledger(later), "why")

    assert account.lots[2].expires_at == later + DAY
    assert (account.lots[2].state, account.lots[2].remaining) == ("open", 30)


def test_what_had_expired_in_a_lot_does_not_come_back_with_it(account):
    order = spent(Ledger(NOW), account, 30)  # 10 of the 30 bonus credits are spent, 20 are left

    order_refunds.give_back(order, 10, [], account, Ledger(NOW + 5 * DAY), "why")

    assert account.lots[2].remaining == 10


def test_an_account_that_cannot_hold_so_many_is_left_alone(account):
    ledger = Ledger(NOW)
    order = spent(ledger, account, 60)
    ledger.grant(account, "paid", CREDITS_MAX - account.available)

    with pytest.raises(InvalidError):
        order_refunds.give_back(order, 1, [], account, ledger, "why")

    assert account.available == CREDITS_MAX


@given(
    lots=st.lists(st.integers(1, 50), min_size=1, max_size=5),
    price=st.integers(1, 100),
    asked=st.lists(st.one_of(st.none(), st.integers(-1, 60)), max_size=8),
    debt=st.integers(0, 120),
    days=st.integers(0, 4),
)
def test_many_refunds_give_the_price_at_most_and_the_books_stay_exact(
    lots, price, asked, debt, days
):
    ledger, opened = Ledger(NOW), Account(1)
    for number, amount in enumerate(lots):
        expires_at = NOW + (number + 1) * DAY if number % 2 else None
        ledger.grant(opened, "bonus" if number % 2 else "paid", amount, expires_at=expires_at)
    price = min(price, opened.available)
    order = spent(ledger, opened, price)
    kept = dict.fromkeys(range(1, len(lots) + 1), 0)
    kept |= dict(order.hold.parts)
    if debt:
        ledger.adjust(opened, -debt, "by hand")
    later = Ledger(NOW + days * DAY)
    before = []

    for credits_ in asked:
        try:
            amount = order_refunds.amount_of(order, credits_, before)
        except (AlreadyRefundedError, InvalidError):
            continue
        owed = order_refunds.give_back(order, amount, before, opened, later, "why")
        before.append(refund_of(amount, owed))

    moved = [each for each in later.transfers if each.kind == "credit_back"]
    back = sum(each.credits for each in before)
    assert (
        back == sum(each.amount for each in moved) == price - order_refunds.left_of(order, before)
    )
    assert 0 <= back <= price
    assert back == price or None not in asked
    for number, part in kept.items():
        assert sum(each.amount for each in moved if each.lot == number) <= part
    assert sum(each.debt_paid_credits for each in before) == sum(
        each.amount for each in moved if each.credit == "debt"
    )
    found = replay(ledger.transfers + later.transfers)
    assert (found.available, found.held, found.debt) == (opened.available, 0, opened.debt)
    assert not (opened.available and opened.debt)
    for number, lot in opened.lots.items():
        assert found.lots.get(number, 0) == lot.remaining <= lot.granted
