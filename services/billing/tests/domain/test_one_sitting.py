"""What a ledger remembers within a sitting changes nothing: each step alone would do the same."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.accounts import PENDING, Account
from billing.domain.ledger import Ledger
from contracts.errors import RefusalError

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DAY = timedelta(days=1)
EXPIRIES = st.sampled_from([None, LATER, NOW + DAY, NOW + 2 * DAY])
AMOUNTS = st.integers(1, 12)
STEPS = st.one_of(
    st.tuples(st.just("hold"), AMOUNTS),
    st.tuples(st.just("grant"), AMOUNTS, st.sampled_from(["paid", "bonus"]), EXPIRIES),
    st.tuples(st.just("void"), st.integers(0, 5)),
    st.tuples(st.just("post"), st.integers(0, 5)),
    st.tuples(st.just("revoke"), AMOUNTS),
    st.tuples(st.just("renew"), AMOUNTS),
)


def opened():
    """Somebody with lots that expired, or will, or never do, and a trial that is due."""
    early = NOW - 2 * DAY
    account = Account(1)
    ledger = Ledger(early)
    ledger.open_trial(account, 5, DAY)
    for kind, amount, after in (("paid", 9, None), ("bonus", 4, DAY), ("bonus", 6, 2.5 * DAY)):
        expires_at = early + after if after else None
        ledger.grant(account, kind, amount, expires_at=expires_at)
    holds = [ledger.hold(account, UUID(int=100), 7, LATER)]
    return account, holds


def walk(steps, ledger_for):
    """Take the steps; each gets its ledger. Returns every transfer and what is left."""
    account, holds = opened()
    transfers = []
    for number, (kind, *values) in enumerate(steps):
        ledger = ledger_for()
        before = len(ledger.transfers)
        pending = [hold for hold in holds if hold.state == PENDING]
        try:
            if kind == "hold":
                holds.append(ledger.hold(account, UUID(int=number), values[0], LATER))
            elif kind == "grant":
                ledger.grant(account, values[1], values[0], expires_at=values[2])
            elif kind == "revoke":
                ledger.revoke(account, 2, values[0], "refund")
            elif kind == "renew":
                ledger.renew_trial(account, values[0], DAY, pending)
            elif pending:
                hold = pending[values[0] % len(pending)]
                ledger.post(account, hold) if kind == "post" else ledger.void(account, hold, "")
        except RefusalError as error:
            transfers.append(error.code)
        transfers += ledger.transfers[before:]
    return transfers, deepcopy(account), [(hold.state, hold.parts) for hold in holds]


@pytest.mark.timeout(60)
@given(st.lists(STEPS, max_size=25))
def test_steps_of_one_sitting_are_as_steps_of_many(steps):
    one = Ledger(NOW)

    together = walk(steps, lambda: one)

    assert together == walk(steps, lambda: Ledger(NOW))


def test_a_lot_reopened_between_two_holds_is_spent_in_its_new_turn():
    account, holds = opened()
    ledger = Ledger(NOW)
    ledger.hold(account, UUID(int=1), 1, LATER)

    ledger.void(account, holds[0], "failed")
    hold = ledger.hold(account, UUID(int=2), 11, LATER)

    # The trial came back with 5; the bonus that had expired, for a day, and so after the other.
    assert hold.parts == ((1, 5), (4, 5), (3, 1))


def test_a_lot_opened_between_two_holds_is_spent_in_its_turn():
    account, _ = opened()
    ledger = Ledger(NOW)
    first = ledger.hold(account, UUID(int=1), 1, LATER)

    lot, _ = ledger.grant(account, "bonus", 3, expires_at=LATER)
    second = ledger.hold(account, UUID(int=2), 5, LATER)

    assert first.parts == ((4, 1),)
    assert second.parts == ((lot.number, 3), (4, 2))
