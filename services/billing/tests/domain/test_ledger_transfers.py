"""What each move of the ledger writes down: the transfers, and what is to be stored of it."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain.accounts import Account, Hold
from billing.domain.errors import InDebtError, InsufficientCreditsError, InvalidError
from billing.domain.ledger import Ledger
from billing.domain.lots import Lot
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ORDER = UUID(int=5)
TOO_MUCH = "the amount is outside the limits"


@pytest.fixture
def account():
    """Lots 1 trial 20 (two days), 2 bonus 30 (a day), 3 paid 100."""
    opened, ledger = Account(1), Ledger(NOW)
    ledger.open_trial(opened, 20, 2 * DAY)
    ledger.grant(opened, "bonus", 30, expires_at=NOW + DAY, reason="promo:A")
    ledger.grant(opened, "paid", 100)
    return opened


def told(ledger):
    """Each transfer as (number, lot, debit, credit, amount, kind, order id, reason)."""
    assert all(each.user_id == 1 for each in ledger.transfers)
    return [each[1:] for each in ledger.transfers]


def touched(ledger):
    """The numbers of the lots to be stored; every account moved is to be stored too."""
    assert all(ledger.lots[key].number == key[1] for key in ledger.lots)
    return sorted(number for _, number in ledger.lots)


def state(account):
    return account.available, account.held, account.debt


def test_opening_a_trial_and_granting_write_a_transfer_and_a_lot_each():
    account, ledger = Account(1), Ledger(NOW)

    ledger.open_trial(account, 20, DAY)
    bonus, owed = ledger.grant(account, "bonus", 30, expires_at=NOW + TICK, reason="promo:A")
    renews = account.trial_renews_at
    paid, _ = ledger.grant(account, "paid", 100)

    assert told(ledger) == [
        (1, 1, "house:gifts", "available", 20, "trial", None, ""),
        (2, 2, "house:gifts", "available", 30, "grant", None, "promo:A"),
        (3, 3, "house:sales", "available", 100, "grant", None, ""),
    ]
    assert account.lots == {
        1: Lot(1, "trial", 20, 20, NOW + DAY),
        2: Lot(2, "bonus", 30, 30, NOW + TICK),
        3: Lot(3, "paid", 100, 100, None),
    }
    assert (bonus, paid, owed) == (account.lots[2], account.lots[3], 0)
    assert (renews, account.trial_renews_at) == (NOW + DAY, None), "who paid has no trial"
    assert (state(account), account.transfers, account.lots_opened) == ((150, 0, 0), 3, 3)
    assert (ledger.accounts, ledger.opened) == ({1: account}, {(1, 1), (1, 2), (1, 3)})
    assert touched(ledger) == [1, 2, 3]


def test_a_shop_without_a_trial_opens_none():
    account, ledger = Account(1), Ledger(NOW)

    ledger.open_trial(account, 0, DAY)

    assert (account, ledger.accounts, ledger.transfers) == (Account(1), {}, [])


def test_the_smallest_and_the_largest_grant_are_given():
    account, ledger = Account(1), Ledger(NOW)
    ledger.grant(account, "paid", 1)
    ledger.hold(account, ORDER, 1, NOW + HOUR)

    with pytest.raises(InvalidError) as refused:
        ledger.grant(account, "paid", CREDITS_MAX)
    ledger.grant(account, "paid", CREDITS_MAX - 1)

    assert str(refused.value) == TOO_MUCH
    assert account.available + account.held == CREDITS_MAX
    with pytest.raises(InvalidError):
        ledger.grant(account, "paid", 1)


@pytest.mark.parametrize(
    ("kind", "amount", "expires_at", "why"),
    [
        ("trial", 5, None, "nobody is granted trial"),
        ("x" * 30, 5, None, f"nobody is granted {'x' * 20}"),
        ("paid", 0, None, TOO_MUCH),
        ("paid", 5, NOW, "the credits would have expired already"),
    ],
)
def test_a_senseless_grant_says_why_and_moves_nothing(kind, amount, expires_at, why):
    account, ledger = Account(1), Ledger(NOW)

    with pytest.raises(InvalidError) as refused:
        ledger.grant(account, kind, amount, expires_at=expires_at)

    assert str(refused.value) == why
    assert (account, ledger.transfers) == (Account(1), [])


def test_a_bonus_leaves_the_trial_running():
    account, ledger = Account(1), Ledger(NOW)
    ledger.open_trial(account, 20, DAY)

    ledger.grant(account, "bonus", 5)

    assert account.trial_renews_at == NOW + DAY


def test_a_hold_names_its_order_and_its_lots(account):
    ledger = Ledger(NOW)

    hold = ledger.hold(account, ORDER, 60, NOW + HOUR)

    assert hold == Hold(ORDER, 1, 60, NOW + HOUR, "pending", ((1, 20), (2, 30), (3, 10)))
    assert told(ledger) == [
        (4, 1, "available", "held", 20, "hold", ORDER, ""),
        (5, 2, "available", "held", 30, "hold", ORDER, ""),
        (6, 3, "available", "held", 10, "hold", ORDER, ""),
    ]
    assert (state(account), account.in_flight) == ((90, 60, 0), 1)
    assert (ledger.accounts, touched(ledger)) == ({1: account}, [1, 2, 3])


def test_a_hold_of_nothing_is_a_hold_without_transfers(account):
    ledger = Ledger(NOW)

    hold = ledger.hold(account, ORDER, 0, NOW + HOUR)

    assert (hold.parts, hold.amount, told(ledger)) == ((), 0, [])
    assert (account.in_flight, ledger.accounts, ledger.lots) == (1, {1: account}, {})


def test_a_hold_of_what_no_lot_has_is_a_fault_of_the_books():
    with pytest.raises(AssertionError, match=r"^lots and balance differ$"):
        Ledger(NOW).hold(Account(1, available=5), ORDER, 5, NOW + HOUR)


def test_a_hold_finds_what_has_expired_gone(account):
    later = Ledger(NOW + DAY)

    with pytest.raises(InsufficientCreditsError) as refused:
        later.hold(account, ORDER, 121, NOW + HOUR)

    assert refused.value.available_credits == 120


def test_debt_is_told_with_what_there_is():
    account, ledger = Account(1, debt=3), Ledger(NOW)

    for spend in (
        lambda: ledger.hold(account, ORDER, 1, NOW + HOUR),
        lambda: ledger.spend(account, 1, "plan", "x"),
        lambda: ledger.give(account, 1, "x"),
    ):
        with pytest.raises(InDebtError) as refused:
            spend()
        assert refused.value.available_credits == 0
    assert (account.in_flight, ledger.accounts) == (0, {})


def test_posting_charges_each_lot_and_needs_none_of_them_loaded(account):
    hold = Ledger(NOW).hold(account, ORDER, 30, NOW + HOUR)
    del account.lots[2]
    ledger = Ledger(NOW)

    ledger.post(account, hold)

    assert told(ledger) == [
        (6, 1, "held", "house:revenue", 20, "post", ORDER, ""),
        (7, 2, "held", "house:revenue", 10, "post", ORDER, ""),
    ]
    assert (state(account), account.in_flight, hold.state) == ((120, 0, 0), 0, "posted")
    assert (ledger.accounts, ledger.lots) == ({1: account}, {}), "no lot has changed"


def test_voiding_returns_each_part_with_the_reason(account):
    hold = Ledger(NOW).hold(account, ORDER, 60, NOW + HOUR)
    ledger = Ledger(NOW)

    ledger.void(account, hold, "node_error")

    assert told(ledger) == [
        (7, 1, "held", "available", 20, "void", ORDER, "node_error"),
        (8, 2, "held", "available", 30, "void", ORDER, "node_error"),
        (9, 3, "held", "available", 10, "void", ORDER, "node_error"),
    ]
    assert (state(account), account.in_flight, hold.state) == ((150, 0, 0), 0, "voided")
    assert (ledger.accounts, touched(ledger)) == ({1: account}, [1, 2, 3])


def test_an_expired_hold_is_called_so(account):
    ledger = Ledger(NOW)
    hold = ledger.hold(account, ORDER, 1, NOW + HOUR)

    ledger.void(account, hold, "hold_expired", expired=True)

    assert hold.state == "expired"


def test_a_void_pays_the_debt_before_it_fills_a_lot(account):
    hold = Ledger(NOW).hold(account, ORDER, 150, NOW + HOUR)
    Ledger(NOW).revoke(account, 3, 25, "refund")
    ledger = Ledger(NOW)

    ledger.void(account, hold, "timeout")

    assert told(ledger)[:3] == [
        (8, 1, "held", "debt", 20, "void", ORDER, "timeout"),
        (9, 2, "held", "debt", 5, "void", ORDER, "timeout"),
        (10, 2, "held", "available", 25, "void", ORDER, "timeout"),
    ]
    assert (state(account), touched(ledger)) == ((125, 0, 0), [2, 3])
    assert [lot.granted for lot in account.lots.values()] == [20, 30, 100]


@pytest.mark.parametrize("hours", [1, 24])
def test_what_returns_to_an_expired_lot_lives_as_long_as_the_shop_says(account, hours):
    hold = Ledger(NOW).hold(account, ORDER, 50, NOW + HOUR)
    later = Ledger(NOW + DAY, reopened_for=timedelta(hours=hours))

    later.void(account, hold, "timeout")

    assert account.lots[2] == Lot(2, "bonus", 30, 30, later.now + timedelta(hours=hours))
    assert account.lots[1].expires_at == NOW + 2 * DAY, "this one had not expired"


def test_debt_alone_reopens_no_lot(account):
    hold = Ledger(NOW).hold(account, ORDER, 50, NOW + HOUR)
    Ledger(NOW).adjust(account, -200, "wrong")
    later = Ledger(NOW + 3 * DAY)

    later.void(account, hold, "timeout")

    assert [account.lots[number].state for number in (1, 2)] == ["expired", "expired"]
    assert state(account) == (0, 0, 50)


def test_credits_expire_at_their_moment_and_once(account):
    early, later = Ledger(NOW + DAY - TICK), Ledger(NOW + 2 * DAY)

    assert (early.expire_lots(account), early.transfers, early.accounts) == (0, [], {})
    assert later.expire_lots(account) == 50
    assert later.expire_lots(account) == 0

    assert told(later) == [
        (4, 1, "available", "house:breakage", 20, "expire", None, ""),
        (5, 2, "available", "house:breakage", 30, "expire", None, ""),
    ]
    assert [lot.state for lot in account.lots.values()] == ["expired", "expired", "open"]
    assert (later.accounts, touched(later)) == ({1: account}, [1, 2])


def test_an_empty_lot_expires_without_a_transfer(account):
    Ledger(NOW).spend(account, 50, "plan", "p")
    later = Ledger(NOW + DAY)

    assert (later.expire_lots(account), told(later)) == (0, [])
    assert (account.lots[2].state, touched(later), later.accounts) == ("expired", [2], {1: account})


def test_a_sitting_knows_an_account_that_was_loaded_again(account):
    """A batch that failed is taken one by one, each with the account as it is stored."""
    ledger, loaded_again = Ledger(NOW), deepcopy(account)
    ledger.hold(account, ORDER, 60, NOW + HOUR)

    hold = ledger.hold(loaded_again, ORDER, 60, NOW + HOUR)

    assert hold.parts == ((1, 20), (2, 30), (3, 10))
    assert loaded_again == account
