from datetime import UTC, datetime, timedelta

import pytest

from billing.domain.accounts import Account
from billing.domain.books import replay
from billing.domain.errors import InDebtError, InsufficientCreditsError, InvalidError
from billing.domain.ledger import Ledger
from chassis.clock import new_id

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TWO_DAYS = timedelta(days=2)


def rich(*grants):
    """An account with a lot for each (kind, amount, hours until it expires or None)."""
    account, ledger = Account(1), Ledger(NOW)
    for kind, amount, hours in grants:
        expires_at = NOW + timedelta(hours=hours) if hours else None
        ledger.grant(account, kind, amount, expires_at=expires_at)
    return account, ledger


def remaining(account):
    return [lot.remaining for lot in account.lots.values()]


def test_hold_refuses_more_than_available_and_moves_nothing():
    account, ledger = rich(("paid", 9, None))

    with pytest.raises(InsufficientCreditsError) as refusal:
        ledger.hold(account, new_id(), 10, LATER)

    assert refusal.value.available_credits == 9
    assert (account.held, account.in_flight, remaining(account)) == (0, 0, [9])


def test_hold_takes_exactly_what_is_available():
    account, ledger = rich(("paid", 9, None))

    hold = ledger.hold(account, new_id(), 9, LATER)

    assert (account.available, account.held, hold.parts) == (0, 9, ((1, 9),))


def test_bonus_is_spent_before_paid_and_the_nearest_expiry_first():
    account, ledger = rich(("paid", 5, 1), ("bonus", 5, None), ("bonus", 5, 9), ("bonus", 5, 2))

    hold = ledger.hold(account, new_id(), 17, LATER)

    assert hold.parts == ((4, 5), (3, 5), (2, 5), (1, 2))


def test_trial_is_spent_first():
    account, ledger = rich(("bonus", 5, 1))
    ledger.open_trial(account, 20, TWO_DAYS)

    hold = ledger.hold(account, new_id(), 22, LATER)

    assert hold.parts == ((2, 20), (1, 2))


def test_post_moves_what_was_held_to_revenue():
    account, ledger = rich(("paid", 10, None))
    hold = ledger.hold(account, new_id(), 4, LATER)

    ledger.post(account, hold)

    assert (account.available, account.held, account.in_flight) == (6, 0, 0)
    assert ledger.transfers[-1][3:7] == ("held", "house:revenue", 4, "post")


@pytest.mark.parametrize("first", ["post", "void"])
@pytest.mark.parametrize("second", ["post", "void"])
def test_a_hold_ends_once(first, second):
    account, ledger = rich(("paid", 10, None))
    hold = ledger.hold(account, new_id(), 4, LATER)
    end = {
        "post": lambda: ledger.post(account, hold),
        "void": lambda: ledger.void(account, hold, "why"),
    }
    end[first]()

    with pytest.raises(AssertionError, match=r"^a hold ends once$"):
        end[second]()


def test_void_returns_to_the_lots_it_came_from():
    account, ledger = rich(("bonus", 5, None), ("paid", 10, None))
    hold = ledger.hold(account, new_id(), 8, LATER)

    ledger.void(account, hold, "node_error")

    assert (remaining(account), account.available, account.held) == ([5, 10], 15, 0)


def test_void_into_an_expired_lot_reopens_it_for_a_day():
    account, ledger = rich(("bonus", 10, 1))
    hold = ledger.hold(account, new_id(), 4, LATER)
    later = Ledger(NOW + timedelta(hours=3))
    later.expire_lots(account)

    later.void(account, hold, "timeout")

    lot = account.lots[1]
    assert (lot.state, lot.remaining, account.available) == ("open", 4, 4)
    assert lot.expires_at == later.now + timedelta(hours=24)


def test_void_brings_back_only_what_was_held():
    account, ledger = rich(("bonus", 10, 1))
    hold = ledger.hold(account, new_id(), 4, LATER)

    Ledger(NOW + timedelta(hours=3)).void(account, hold, "timeout")

    assert (account.available, account.lots[1].remaining) == (4, 4)


def test_void_of_nothing_leaves_an_expired_lot_closed():
    account, ledger = rich(("bonus", 10, 1))
    hold = ledger.hold(account, new_id(), 0, LATER)
    later = Ledger(NOW + timedelta(hours=3))
    later.expire_lots(account)

    later.void(account, hold, "timeout")

    assert account.lots[1].state == "expired"


def test_what_a_revocation_cannot_take_becomes_debt():
    account, ledger = rich(("paid", 10, None), ("bonus", 3, None))
    hold = ledger.hold(account, new_id(), 8, LATER)
    assert remaining(account) == [5, 0]

    owed = ledger.revoke(account, 1, 10, "charge-back")

    assert (owed, account.debt, account.available, account.held) == (5, 5, 0, 8)
    assert account.lots[1].state == "revoked"
    assert hold.state == "pending"


def test_a_revocation_takes_other_live_lots_before_it_makes_debt():
    account, ledger = rich(("paid", 10, None), ("bonus", 3, None))
    ledger.hold(account, new_id(), 11, LATER)

    owed = ledger.revoke(account, 2, 3, "refund")

    assert (owed, account.debt, remaining(account)) == (1, 1, [0, 0])


def test_debt_refuses_new_holds_even_free_ones():
    account, ledger = rich(("paid", 10, None))
    ledger.post(account, ledger.hold(account, new_id(), 10, LATER))
    ledger.revoke(account, 1, 10, "charge-back")

    with pytest.raises(InDebtError):
        ledger.hold(account, new_id(), 0, LATER)


def test_void_into_a_revoked_lot_pays_debt_first():
    account, ledger = rich(("paid", 10, None))
    hold = ledger.hold(account, new_id(), 10, LATER)
    ledger.revoke(account, 1, 6, "partial refund")

    ledger.void(account, hold, "node_error")

    assert (account.debt, account.available, account.held) == (0, 4, 0)
    assert (account.lots[1].state, account.lots[1].remaining) == ("open", 4)


def test_a_grant_pays_debt_first():
    account, ledger = rich(("paid", 10, None))
    ledger.post(account, ledger.hold(account, new_id(), 10, LATER))
    ledger.revoke(account, 1, 10, "charge-back")

    lot, paid = ledger.grant(account, "paid", 25)

    assert (paid, account.debt, account.available, lot.remaining) == (10, 0, 15, 15)


@pytest.mark.parametrize("amount", [0, -1, 1_000_000_001])
def test_an_amount_outside_the_limits_is_invalid(amount):
    account, ledger = rich()

    with pytest.raises(InvalidError):
        ledger.grant(account, "paid", amount)


def test_expired_credits_leave_the_balance():
    account, _ = rich(("bonus", 10, 1), ("paid", 5, None))
    later = Ledger(LATER)

    expired = later.expire_lots(account)

    assert (expired, account.available, account.lots[1].state) == (10, 5, "expired")
    assert later.transfers[0][3:7] == ("available", "house:breakage", 10, "expire")


def test_a_trial_is_renewed_to_its_amount_not_above():
    account, ledger = Account(1), Ledger(NOW)
    ledger.open_trial(account, 20, TWO_DAYS)
    ledger.post(account, ledger.hold(account, new_id(), 15, LATER))
    early = ledger.renew_trial(account, 20, TWO_DAYS)

    later = Ledger(NOW + TWO_DAYS)
    renewed = later.renew_trial(account, 20, TWO_DAYS)

    assert (early, renewed, account.available) == (False, True, 20)
    assert account.trial_renews_at == account.lots[1].expires_at == later.now + TWO_DAYS


def test_a_trial_waits_for_pending_holds_it_pays():
    account, ledger = Account(1), Ledger(NOW)
    ledger.open_trial(account, 20, TWO_DAYS)
    hold = ledger.hold(account, new_id(), 15, LATER)
    later = Ledger(NOW + TWO_DAYS)

    assert not later.renew_trial(account, 20, TWO_DAYS, [hold])
    later.void(account, hold, "timeout")
    assert later.renew_trial(account, 20, TWO_DAYS)
    assert account.available == 20


def test_replaying_the_transfers_gives_the_same_balances():
    account, ledger = rich(("bonus", 5, 1), ("paid", 10, None))
    kept = ledger.hold(account, new_id(), 7, LATER)
    ledger.post(account, ledger.hold(account, new_id(), 3, LATER))
    ledger.revoke(account, 2, 10, "charge-back")
    ledger.void(account, kept, "timeout")

    balances = replay(ledger.transfers)

    assert balances[:3] == (account.available, account.held, account.debt)
    assert balances.lots == {number: lot.remaining for number, lot in account.lots.items()}
    assert [transfer.number for transfer in ledger.transfers] == list(
        range(1, account.transfers + 1)
    )
