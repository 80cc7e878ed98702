"""The trial's renewal: when it is due, and to what it comes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain.accounts import Account, Hold
from billing.domain.ledger import Ledger
from billing.domain.lots import Lot

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ORDER = UUID(int=5)


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


@pytest.fixture
def newcomer():
    opened = Account(1)
    Ledger(NOW).open_trial(opened, 20, DAY)
    return opened


@pytest.mark.parametrize(
    ("spent", "amount", "transfer"),
    [
        (15, 20, (3, 1, "house:gifts", "available", 15, "trial", None, "")),
        (0, 30, (2, 1, "house:gifts", "available", 10, "trial", None, "")),
        (0, 5, (2, 1, "available", "house:breakage", 15, "expire", None, "")),
        (1, 20, (3, 1, "house:gifts", "available", 1, "trial", None, "")),
        (0, 19, (2, 1, "available", "house:breakage", 1, "expire", None, "")),
        (0, 20, None),
    ],
)
def test_a_renewed_trial_has_its_amount(newcomer, spent, amount, transfer):
    if spent:
        Ledger(NOW).spend(newcomer, spent, "plan", "p")
    later = Ledger(NOW + DAY)

    assert later.renew_trial(newcomer, amount, DAY) is True

    assert told(later) == ([transfer] if transfer else [])
    assert newcomer.lots[1] == Lot(1, "trial", amount, amount, NOW + 2 * DAY)
    assert newcomer.trial_renews_at == NOW + 2 * DAY
    assert (state(newcomer), later.accounts, touched(later)) == (
        (amount, 0, 0),
        {1: newcomer},
        [1],
    )


def test_an_expired_trial_lives_again(newcomer):
    Ledger(NOW + 2 * DAY).expire_lots(newcomer)

    assert Ledger(NOW + 2 * DAY).renew_trial(newcomer, 20, DAY) is True

    assert newcomer.lots[1] == Lot(1, "trial", 20, 20, NOW + 3 * DAY)


def test_a_trial_is_not_renewed_early_nor_for_who_has_none(newcomer):
    early = Ledger(NOW + DAY - TICK)

    assert early.renew_trial(newcomer, 20, DAY) is False
    assert Ledger(NOW).renew_trial(Account(2), 20, DAY) is False
    assert (early.transfers, early.accounts) == ([], {})


def test_only_a_hold_of_the_trial_keeps_it_waiting(newcomer):
    ledger = Ledger(NOW)
    ledger.grant(newcomer, "bonus", 5)
    other = Hold(ORDER, 1, 5, NOW, parts=((2, 5),))
    both = Hold(ORDER, 1, 5, NOW, parts=((2, 4), (1, 1)))

    assert Ledger(NOW + DAY).renew_trial(newcomer, 20, DAY, [other, both]) is False
    assert Ledger(NOW + DAY).renew_trial(newcomer, 20, DAY, [other]) is True


def test_a_trial_is_found_among_other_lots():
    account, ledger = Account(1), Ledger(NOW)
    ledger.grant(account, "bonus", 5)
    ledger.open_trial(account, 20, DAY)
    ledger.spend(account, 20, "plan", "p")

    Ledger(NOW + DAY).renew_trial(account, 20, DAY)

    assert [lot.remaining for lot in account.lots.values()] == [5, 20]
