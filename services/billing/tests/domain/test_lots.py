"""Lots: how long they live and in which order they are spent; a replay of transfers."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain.accounts import Account
from billing.domain.books import Balances, replay
from billing.domain.ledger import Ledger
from billing.domain.lots import Lot, in_spend_order

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
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


def test_lots_are_spent_by_kind_then_expiry_then_age():
    lots = [
        Lot(1, "paid", 1, 1, NOW),
        Lot(2, "bonus", 1, 1, None),
        Lot(4, "bonus", 1, 1, NOW + TICK),
        Lot(3, "bonus", 1, 1, NOW + TICK),
        Lot(5, "trial", 1, 1, None),
        Lot(6, "bonus", 1, 1, NOW),
    ]

    assert [lot.number for lot in in_spend_order(lots)] == [5, 6, 3, 4, 2, 1]


@pytest.mark.parametrize(
    ("expires_at", "state", "live"),
    [
        (None, "open", True),
        (NOW + TICK, "open", True),
        (NOW, "open", False),
        (None, "revoked", False),
        (NOW + TICK, "expired", False),
    ],
)
def test_a_lot_lives_while_it_is_open_and_before_its_end(expires_at, state, live):
    assert Lot(1, "paid", 1, 1, expires_at, state).is_live(NOW) is live


def test_replaying_says_what_is_where(account):
    ledger = Ledger(NOW)
    hold = ledger.hold(account, ORDER, 40, NOW + HOUR)
    ledger.revoke(account, 3, 130, "refund")
    ledger.post(account, hold)

    assert replay(ledger.transfers) == Balances(-150, 0, 20, {1: -20, 2: -30, 3: -100}), (
        "what was there before is not among these transfers"
    )
    assert replay([]) == Balances(0, 0, 0, {})
