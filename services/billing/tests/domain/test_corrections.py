"""The ledger's corrections: taken back, given again, adjusted, spent at once."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.domain.accounts import KIND_PLAN, Account
from billing.domain.books import replay
from billing.domain.errors import InDebtError, InsufficientCreditsError, InvalidError
from billing.domain.ledger import Ledger
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def ledger():
    return Ledger(NOW)


@pytest.fixture
def account(ledger):
    """20 trial, 30 bonus for a day, 100 paid."""
    opened = Account(1)
    ledger.open_trial(opened, 20, 2 * DAY)
    ledger.grant(opened, "bonus", 30, expires_at=NOW + DAY)
    ledger.grant(opened, "paid", 100)
    return opened


def remaining(account):
    return [account.lots[number].remaining for number in sorted(account.lots)]


def check(account, ledger):
    found = replay(ledger.transfers)
    assert (found.available, found.held, found.debt) == (
        account.available,
        account.held,
        account.debt,
    )
    assert account.available == sum(remaining(account))


def parts_of(ledger, before):
    taken = [each for each in ledger.transfers[before:] if each.debit == "available"]
    return tuple((each.lot, each.amount) for each in taken)


def revoke(ledger, account, number, amount):
    before = len(ledger.transfers)
    debt = ledger.revoke(account, number, amount, "refund")
    return parts_of(ledger, before), debt


def test_what_a_refund_took_returns_to_where_it_was(ledger, account):
    ledger.spend(account, 90, KIND_PLAN, "plan")
    before = remaining(account)
    parts, debt = revoke(ledger, account, 3, 100)

    ledger.restore(account, 3, parts, debt, "refused")

    assert (before, parts, debt) == ([0, 0, 60], ((3, 60),), 40)
    assert (remaining(account), account.debt) == (before, 0)
    assert account.lots[3].state == "open"
    check(account, ledger)


def test_it_returns_to_other_lots_too(ledger, account):
    hold = ledger.hold(account, None, 120, NOW + DAY)
    ledger.void(account, hold, "test")
    ledger.revoke(account, 3, 60, "gone")
    parts, debt = revoke(ledger, account, 3, 60)

    ledger.restore(account, 3, parts, debt, "refused")

    assert parts == ((3, 40), (1, 20))
    assert remaining(account) == [20, 30, 40]
    check(account, ledger)


def test_a_debt_paid_meanwhile_comes_back_as_credits(ledger, account):
    ledger.spend(account, 150, KIND_PLAN, "plan")
    parts, debt = revoke(ledger, account, 3, 100)
    ledger.grant(account, "paid", 120)

    ledger.restore(account, 3, parts, debt, "refused")

    assert (account.debt, account.available, debt) == (0, 120, 100)
    check(account, ledger)


def test_a_lot_that_expired_meanwhile_lives_another_day(ledger, account):
    parts, debt = revoke(ledger, account, 2, 30)
    later = Ledger(NOW + 2 * DAY)
    later.transfers = list(ledger.transfers)

    later.restore(account, 2, parts, debt, "refused")

    assert account.lots[2].remaining == 30
    assert account.lots[2].expires_at == later.now + DAY
    check(account, later)


def test_an_adjustment_adds_a_lot_of_its_own(ledger, account):
    made = ledger.adjust(account, 15, "sorry")

    assert (made, account.available, account.lots[4].kind) == (0, 165, "bonus")
    check(account, ledger)


def test_an_adjustment_takes_in_the_order_of_spending_and_then_makes_debt(ledger, account):
    first = ledger.adjust(account, -40, "wrong")
    left = remaining(account)
    second = ledger.adjust(account, -130, "wrong")

    assert (first, left) == (0, [0, 10, 100])
    assert (second, account.available, account.debt) == (20, 0, 20)
    check(account, ledger)


def test_an_adjustment_upwards_pays_the_debt_first(ledger, account):
    ledger.adjust(account, -170, "wrong")

    ledger.adjust(account, 50, "sorry")

    assert (account.debt, account.available) == (0, 30)
    check(account, ledger)


@pytest.mark.parametrize("amount", [0, CREDITS_MAX, -2 * CREDITS_MAX])
def test_an_adjustment_outside_the_limits_moves_nothing(ledger, account, amount):
    before = len(ledger.transfers)

    with pytest.raises(InvalidError):
        ledger.adjust(account, amount, "wrong")

    assert len(ledger.transfers) == before


def test_spending_at_once_refuses_as_a_hold_does(ledger, account):
    with pytest.raises(InsufficientCreditsError):
        ledger.spend(account, 151, KIND_PLAN, "plan")
    ledger.adjust(account, -151, "wrong")
    with pytest.raises(InDebtError):
        ledger.spend(account, 1, KIND_PLAN, "plan")

    check(account, ledger)
