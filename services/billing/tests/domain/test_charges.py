"""Money that came: whether it matches its invoice, its record, its refund."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain import charges, plans
from billing.domain.accounts import KIND_PLAN, Account
from billing.domain.charges import Charge, Paid
from billing.domain.errors import PaymentRefusedError
from billing.domain.ledger import Ledger
from billing.domain.payments import Payment
from billing.domain.plans import Extended
from chassis.clock import new_id

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


def payment(**fields):
    values = {
        "user_id": 7,
        "provider": "crypto_pay",
        "product": "pack",
        "product_id": "credits_300",
        "credits": 300,
        "bonus_credits": 30,
        "amount_minor": 275,
        "currency": "USD",
        "created_at": NOW,
    }
    return Payment(new_id(), **{**values, **fields})


def paid(**fields):
    values = {
        "provider": "crypto_pay",
        "charge_id": "c1",
        "amount_minor": 275,
        "currency": "USD",
        "at": NOW + HOUR,
        "user_id": 7,
    }
    return Paid(**{**values, **fields})


def charge(**fields):
    values = {"state": "paid", "credits": 130, "bonus_credits": 30, **fields}
    state = values.pop("state")
    return Charge("p", "c1", None, 7, "x", 100, "USD", NOW, state, **values)


@pytest.fixture
def ledger():
    return Ledger(NOW)


@pytest.fixture
def account(ledger):
    """What the charge of `charge(lot=1, bonus_lot=2)` bought: 100 paid, 30 bonus."""
    opened = Account(7)
    ledger.grant(opened, "paid", 100)
    ledger.grant(opened, "bonus", 30)
    return opened


@pytest.mark.parametrize(
    ("invoice", "came", "before", "why"),
    [
        (payment(), paid(), 0, ""),
        (payment(), paid(user_id=0), 0, ""),
        (None, paid(), 0, "unknown_payment"),
        (payment(), paid(provider="yookassa"), 0, "unknown_payment"),
        (payment(), paid(user_id=8), 0, "not_yours"),
        (payment(), paid(currency="EUR"), 0, "wrong_currency"),
        (payment(), paid(amount_minor=274), 0, "wrong_amount"),
        (payment(), paid(amount_minor=276), 0, "wrong_amount"),
        (payment(), paid(), 1, "already_paid"),
        (payment(provider="stars", product="plan"), paid(provider="stars"), 1, ""),
    ],
)
def test_money_that_does_not_match_its_invoice_waits_for_a_person(invoice, came, before, why):
    assert charges.mismatch(invoice, came, charges_before=before) == why


def test_the_record_of_a_charge_names_the_invoice_and_the_money():
    invoice = payment()

    made = charges.charge_of(paid(), invoice)

    assert made == Charge(
        provider="crypto_pay",
        charge_id="c1",
        payment_id=invoice.payment_id,
        user_id=7,
        product_id="credits_300",
        amount_minor=275,
        currency="USD",
        paid_at=NOW + HOUR,
        state="review",
    )


def test_money_without_an_invoice_is_recorded_all_the_same():
    made = charges.charge_of(paid(), None)
    nobodys = charges.charge_of(paid(user_id=0), None)

    assert (made.payment_id, made.user_id, made.product_id) == (None, 7, "")
    assert nobodys.user_id == 0


def test_whoever_pays_owns_the_charge_and_else_whoever_has_the_invoice():
    assert charges.charge_of(paid(user_id=8), payment()).user_id == 8
    assert charges.charge_of(paid(user_id=0), payment()).user_id == 7


@pytest.mark.parametrize(
    ("recurring", "first", "renewal"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_only_what_follows_the_first_is_a_renewal(recurring, first, renewal):
    came = paid(recurring=recurring, first_recurring=first)

    assert charges.charge_of(came, payment()).recurring is renewal


def test_a_charge_that_bought_nothing_names_no_credits_and_no_lots():
    made = charge(lot=1, bonus_lot=2)

    charges.forget_given(made)

    assert (made.credits, made.bonus_credits, made.lot, made.bonus_lot) == (0, 0, None, None)


def test_a_charge_has_an_id_of_two_hundred_letters_at_most():
    assert charges.CHARGE_ID_MAX == 200


def test_its_lots_are_those_it_opened_and_those_a_refund_took_from():
    assert charge().lots == ()
    assert charge(lot=3).lots == (3,)
    assert charge(lot=3, bonus_lot=4, taken=((3, 5), (9, 1))).lots == (3, 4, 3, 9)


def test_what_a_refund_took_is_credits_and_debt():
    assert charge(taken=((3, 5), (9, 1)), debt_credits=4).taken_credits == 10


@pytest.mark.parametrize(("since", "until"), [(None, None), (NOW, None), (None, NOW)])
def test_a_charge_without_days_extended_nothing(since, until):
    assert charge(tier_from=since, tier_until=until).extended is None


def test_a_charge_knows_the_days_it_gave():
    made = charge(tier_from=NOW, tier_until=NOW + MONTH, tier_replaced="vip")

    assert made.extended == Extended(NOW, NOW + MONTH, "vip")


# --- refunds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["paid", "review", "rejected"])
def test_a_refund_begins_once_and_says_who_asked_and_why(state):
    made = charge(state=state)

    charges.begin_refund(made, reason="asked", actor="op")

    assert (made.state, made.reason, made.actor) == ("refunding", "asked", "op")
    assert made.version == 2
    with pytest.raises(PaymentRefusedError) as refused:
        charges.begin_refund(made, reason="asked", actor="op")
    assert (refused.value.code, made.version) == ("invalid", 2)


@pytest.mark.parametrize("state", ["refunded", "charged_back"])
def test_money_is_given_back_once(state):
    with pytest.raises(PaymentRefusedError) as refused:
        charges.begin_refund(charge(state=state), reason="asked", actor="op")

    assert refused.value.code == "already_refunded"


def test_a_refund_whose_end_is_unknown_may_begin_again():
    made = charge(state="refunding")
    assert not charges.is_unclear(made)

    charges.lose_sight(made)

    assert (made.reason, made.version, charges.is_unclear(made)) == ("provider_failed", 2, True)
    charges.begin_refund(made, reason="again", actor="op")
    assert (made.state, made.reason, made.version) == ("refunding", "again", 3)
    assert not charges.is_unclear(made)
    assert not charges.is_unclear(charge(reason="provider_failed")), "no refund began"


def test_an_end_is_final_and_has_its_moment():
    made = charge(state="refunding")

    charges.settle(made, charges.REFUNDED, NOW + HOUR)

    assert (made.state, made.settled_at, made.version) == ("refunded", NOW + HOUR, 2)


def test_a_refund_takes_both_lots_and_names_the_transfers(ledger, account):
    made = charge(lot=1, bonus_lot=2)

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, ledger)

    assert (made.taken, made.debt_credits, made.taken_seconds) == (((1, 100), (2, 30)), 0, 0)
    assert (account.available, account.debt) == (0, 0)
    assert {each.reason for each in ledger.transfers[2:]} == {"refund"}
    assert {each.kind for each in ledger.transfers[2:]} == {"revoke"}


def test_what_is_spent_already_becomes_debt_of_both_lots(ledger, account):
    ledger.spend(account, 120, KIND_PLAN, "plan")
    made = charge(lot=1, bonus_lot=2)

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, ledger)

    assert (made.taken, made.debt_credits) == (((1, 10),), 120)
    assert (account.available, account.debt) == (0, 120)


def test_only_what_this_refund_took_is_remembered(ledger, account):
    ledger.grant(account, "paid", 50)
    ledger.revoke(account, 3, 50, "other")
    made = charge(lot=1, bonus_lot=None, credits=100, bonus_credits=0)

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, ledger)

    assert made.taken == ((1, 100),)
    assert account.available == 30


def test_credits_that_expire_at_the_refund_are_not_taken_by_it(ledger, account):
    ledger.grant(account, "bonus", 9, expires_at=NOW + HOUR)
    later = Ledger(NOW + HOUR)
    made = charge(lot=1, bonus_lot=2)

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, later)

    assert made.taken == ((1, 100), (2, 30))


def test_without_an_account_nothing_is_taken_nor_given():
    made = charge(lot=1, taken=((1, 5),), debt_credits=2, taken_seconds=9)

    charges.take(made, None, Ledger(NOW))
    assert made.taken_credits == 7
    charges.give_again(made, None, Ledger(NOW))

    assert (made.taken, made.debt_credits, made.taken_seconds) == ((), 0, 0)


def test_a_refused_refund_gives_everything_again(ledger, account):
    ledger.spend(account, 120, KIND_PLAN, "plan")
    made = charge(lot=1, bonus_lot=2)
    charges.set_apart(made, made.left_minor)
    charges.take(made, account, ledger)

    charges.give_again(made, account, ledger)

    assert (account.available, account.debt, made.taken_credits) == (10, 0, 0)
    restored = [each for each in ledger.transfers if each.kind == "restore"]
    assert sum(each.amount for each in restored) == 130
    assert {each.reason for each in restored} == {"refund_refused"}


def test_a_refund_takes_the_days_that_are_left(account):
    given = plans.extend(account, "vip", MONTH, NOW)
    made = charge(credits=0, bonus_credits=0, tier="vip")
    made.tier_from, made.tier_until, made.tier_replaced = given.since, given.until, given.replaced
    later = Ledger(NOW + timedelta(days=10))

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, later)

    assert made.taken_seconds == timedelta(days=20).total_seconds()
    assert (account.tier, account.tier_until) == ("none", None)
    assert isinstance(made.taken_seconds, int)


def test_days_taken_are_given_again_from_the_moment_they_are(account):
    made = charge(tier="vip", taken_seconds=86_400, tier_from=NOW, tier_until=NOW + MONTH)
    later = Ledger(NOW + HOUR)

    charges.give_again(made, account, later)

    assert (account.tier, account.tier_until) == ("vip", later.now + timedelta(days=1))
    assert (made.tier_from, made.tier_until) == (later.now, account.tier_until)
    assert (made.tier_replaced, made.taken_seconds) == ("none", 0)


def test_money_of_a_lower_plan_takes_back_what_it_added_to_the_higher_one(account):
    plans.extend(account, "black_gold", MONTH, NOW)
    vip = plans.extend(account, "vip", MONTH, NOW)
    made = charge(credits=0, bonus_credits=0, tier="vip")
    made.tier_from, made.tier_until, made.tier_replaced = vip.since, vip.until, vip.replaced

    charges.set_apart(made, made.left_minor)
    charges.take(made, account, Ledger(NOW))

    assert made.taken_seconds == MONTH.total_seconds(), "days of VIP, as they were bought"
    assert (account.tier, account.tier_until) == ("black_gold", NOW + MONTH)
    charges.give_again(made, account, Ledger(NOW))
    assert (account.tier, account.tier_until) == ("black_gold", NOW + MONTH + MONTH / 3)
    assert (made.tier_from, made.tier_until) == (vip.since, vip.until)


def test_a_tier_without_end_needs_no_days_back(account):
    account.tier = "vip"
    made = charge(tier="vip", taken_seconds=86_400)

    charges.give_again(made, account, Ledger(NOW))

    assert (account.tier_until, made.tier_from, made.taken_seconds) == (None, None, 0)


# --- a part of it ------------------------------------------------------------------------------


@given(
    st.integers(1, 10**9),
    st.integers(0, 10**6),
    st.lists(st.integers(1, 10**9), max_size=6),
)
def test_shares_of_all_parts_are_what_was_bought(whole, bought, parts):
    gone, taken = 0, 0
    for part in parts:
        after = min(gone + part, whole)
        share = charges.share(bought, after, whole) - charges.share(bought, gone, whole)
        assert 0 <= share <= bought - taken
        gone, taken = after, taken + share
        assert abs(taken - bought * gone / whole) <= 0.5 + 1e-6

    assert (
        taken + charges.share(bought, whole, whole) - charges.share(bought, gone, whole) == bought
    )


@pytest.mark.parametrize(("part", "share"), [(1, 0), (4, 0), (5, 1), (6, 1), (14, 1), (15, 2)])
def test_a_half_is_rounded_up(part, share):
    assert charges.share(10, part, 100) == share
