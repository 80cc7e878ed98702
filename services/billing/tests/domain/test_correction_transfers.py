"""What revoking, restoring, adjusting and spending write down, to the last transfer."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain.accounts import Account
from billing.domain.errors import InsufficientCreditsError, InvalidError
from billing.domain.ledger import Ledger
from billing.domain.lots import Lot
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
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


def test_revoking_takes_the_lot_then_the_others_then_makes_debt(account):
    Ledger(NOW).spend(account, 30, "plan", "p")
    ledger = Ledger(NOW)

    owed = ledger.revoke(account, 2, 150, "refund")

    assert (owed, state(account)) == (30, (0, 0, 30))
    assert told(ledger) == [
        (6, 2, "available", "house:revocations", 20, "revoke", None, "refund"),
        (7, 3, "available", "house:revocations", 100, "revoke", None, "refund"),
        (8, 2, "debt", "house:revocations", 30, "revoke", None, "refund"),
    ]
    assert [lot.state for lot in account.lots.values()] == ["open", "revoked", "open"]
    assert (ledger.accounts, touched(ledger)) == ({1: account}, [2, 3])


def test_revoking_a_part_leaves_the_lot_open(account):
    ledger = Ledger(NOW)

    assert ledger.revoke(account, 3, 99, "refund") == 0

    assert (account.lots[3].state, account.lots[3].remaining) == ("open", 1)


def test_revoking_finds_what_has_expired_gone(account):
    later = Ledger(NOW + DAY)

    assert later.revoke(account, 3, 130, "refund") == 10

    assert later.transfers[0][2:7] == (2, "available", "house:breakage", 30, "expire")


def test_a_lot_without_anything_is_revoked_and_stored(account):
    Ledger(NOW).spend(account, 150, "plan", "p")
    ledger = Ledger(NOW)

    assert ledger.revoke(account, 3, 100, "refund") == 100

    assert (account.lots[3].state, touched(ledger)) == ("revoked", [3])


def test_restoring_pays_the_debt_first_and_opens_the_lot_again(account):
    Ledger(NOW).spend(account, 80, "plan", "p")
    Ledger(NOW).revoke(account, 3, 100, "refund")
    ledger = Ledger(NOW)

    ledger.restore(account, 3, ((3, 70),), 30, "refund_refused")

    assert told(ledger) == [
        (9, 3, "house:revocations", "debt", 30, "restore", None, "refund_refused"),
        (10, 3, "house:revocations", "available", 40, "restore", None, "refund_refused"),
        (11, 3, "house:revocations", "available", 30, "restore", None, "refund_refused"),
    ]
    assert (state(account), account.lots[3]) == ((70, 0, 0), Lot(3, "paid", 100, 70, None))
    assert (ledger.accounts, touched(ledger)) == ({1: account}, [3])


def test_restoring_finds_what_has_expired_gone(account):
    Ledger(NOW).revoke(account, 2, 10, "refund")
    later = Ledger(NOW + DAY)

    later.restore(account, 2, ((2, 10),), 0, "refund_refused")

    assert account.lots[2] == Lot(2, "bonus", 30, 10, later.now + DAY)
    assert account.available == 130


def test_a_lot_may_hold_more_than_it_was_granted_after_a_restoration():
    """The debt of one lot paid by another's void: what comes back has only the first to go to."""
    account, ledger = Account(1), Ledger(NOW)
    ledger.grant(account, "bonus", 40)
    ledger.grant(account, "paid", 10)
    hold = ledger.hold(account, ORDER, 45, NOW + HOUR)
    debt = ledger.revoke(account, 2, 10, "refund")
    ledger.void(account, hold, "timeout")

    ledger.restore(account, 2, ((2, 5),), debt, "refund_refused")

    assert (debt, state(account)) == (5, (50, 0, 0))
    assert account.lots[2] == Lot(2, "paid", 15, 15, None)


def test_an_adjustment_upwards_is_a_lot_that_does_not_end(account):
    ledger = Ledger(NOW)

    assert ledger.adjust(account, 15, "sorry") == 0

    assert account.lots[4] == Lot(4, "bonus", 15, 15, None)
    assert told(ledger) == [(4, 4, "house:gifts", "available", 15, "adjust", None, "sorry")]
    assert (ledger.accounts, ledger.opened) == ({1: account}, {(1, 4)})


def test_a_single_credit_is_adjusted_up_and_down(account):
    ledger = Ledger(NOW)

    assert (ledger.adjust(account, 1, "sorry"), account.lots[4].remaining) == (0, 1)
    assert (ledger.adjust(account, -1, "wrong"), account.lots[1].remaining) == (0, 19)


def test_a_lot_whose_credits_all_paid_debt_is_stored_too():
    account, ledger = Account(1, debt=10), Ledger(NOW)

    lot, owed = ledger.grant(account, "paid", 10)

    assert (owed, ledger.lots) == (10, {(1, 1): lot})
    assert told(ledger) == [(1, 1, "house:sales", "debt", 10, "grant", None, "")]


def test_an_adjustment_downwards_names_its_lots_and_its_debt(account):
    ledger = Ledger(NOW)

    assert ledger.adjust(account, -160, "wrong") == 10

    assert told(ledger) == [
        (4, 1, "available", "house:revocations", 20, "adjust", None, "wrong"),
        (5, 2, "available", "house:revocations", 30, "adjust", None, "wrong"),
        (6, 3, "available", "house:revocations", 100, "adjust", None, "wrong"),
        (7, 0, "debt", "house:revocations", 10, "adjust", None, "wrong"),
    ]
    assert (state(account), ledger.accounts) == ((0, 0, 10), {1: account})
    assert (touched(ledger), ledger.opened) == ([1, 2, 3], set())


def test_an_adjustment_finds_what_has_expired_gone(account):
    later = Ledger(NOW + DAY)

    assert later.adjust(account, -130, "wrong") == 10


def test_adjustments_end_at_the_limits():
    account, ledger = Account(1), Ledger(NOW)
    ledger.grant(account, "paid", 10)
    ledger.hold(account, ORDER, 10, NOW + HOUR)

    for amount in (0, CREDITS_MAX - 9, -CREDITS_MAX - 11):
        with pytest.raises(InvalidError) as refused:
            ledger.adjust(account, amount, "wrong")
        assert str(refused.value) == TOO_MUCH
    ledger.adjust(account, CREDITS_MAX - 10, "sorry")
    assert account.available + account.held == CREDITS_MAX


def test_debt_ends_at_the_limit_too():
    account, ledger = Account(1), Ledger(NOW)
    ledger.adjust(account, -1, "wrong")

    with pytest.raises(InvalidError):
        ledger.adjust(account, -CREDITS_MAX, "wrong")
    ledger.adjust(account, 1 - CREDITS_MAX, "wrong")

    assert account.debt == CREDITS_MAX


def test_spending_takes_in_order_and_names_what_for(account):
    ledger = Ledger(NOW)

    ledger.spend(account, 60, "plan", "vip_30")

    assert told(ledger) == [
        (4, 1, "available", "house:revenue", 20, "plan", None, "vip_30"),
        (5, 2, "available", "house:revenue", 30, "plan", None, "vip_30"),
        (6, 3, "available", "house:revenue", 10, "plan", None, "vip_30"),
    ]
    assert (state(account), ledger.accounts) == ((90, 0, 0), {1: account})


def test_spending_takes_all_there_is_and_not_a_credit_more(account):
    later = Ledger(NOW + DAY)

    with pytest.raises(InsufficientCreditsError) as refused:
        later.spend(account, 121, "plan", "vip_30")
    later.spend(account, 120, "plan", "vip_30")

    assert (refused.value.available_credits, account.available) == (120, 0)
