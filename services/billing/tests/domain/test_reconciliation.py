"""A provider's statement beside our charges: each kind of difference, and what is no difference."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from billing.domain import reconciliation
from billing.domain.reconciliation import Line, Ours, Period
from contracts.operators import Difference

SINCE = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
MONTH = Period(SINCE, UNTIL)
PAYMENT, THEIRS = UUID(int=1), UUID(int=2)


def line(charge_id="c1", **fields):
    values = {"at": SINCE + DAY, "currency": "USD", "paid_minor": 100, **fields}
    return Line(charge_id, values.pop("at"), values.pop("currency"), **values)


def ours(charge_id="c1", **fields):
    values = {"amount_minor": 100, "currency": "USD", "paid_at": SINCE, "state": "paid", **fields}
    return Ours(charge_id, PAYMENT, 7, **values)


def compare(lines, charges, period=MONTH, *, states_refunds=True):
    stated = {each.charge_id: each for each in lines}
    return reconciliation.compare(stated, charges, period, states_refunds=states_refunds)


def test_charges_of_one_amount_agree_and_are_summed_by_currency():
    lines = [line("a"), line("b", paid_minor=5), line("c", currency="TON", paid_minor=9)]
    charges = [ours("a"), ours("b", amount_minor=5), ours("c", currency="TON", amount_minor=9)]

    found = compare(lines, charges)

    assert (found.matched, found.matched_minor) == (3, Counter(USD=105, TON=9))
    assert (found.refunds, found.differences) == (0, [])


def test_money_the_provider_knows_and_we_do_not_is_told_with_their_words():
    found = compare([line(payment_id=THEIRS, user_id=9)], [])

    assert found.differences == [
        Difference(
            kind="missing_with_us",
            charge_id="c1",
            at=SINCE + DAY,
            currency="USD",
            theirs_minor=100,
            user_id=9,
            payment_id=THEIRS,
        )
    ]
    assert found.matched == 0


def test_money_we_know_and_the_provider_does_not_is_told_with_ours():
    found = compare([], [ours()])

    assert found.differences == [
        Difference(
            kind="missing_with_provider",
            charge_id="c1",
            at=SINCE,
            currency="USD",
            ours_minor=100,
            user_id=7,
            payment_id=PAYMENT,
            state="paid",
        )
    ]


@pytest.mark.parametrize("fields", [{"paid_minor": 99}, {"currency": "EUR"}])
def test_another_amount_or_currency_is_told_with_both(fields):
    stated = line(**fields)

    (told,) = compare([stated], [ours()]).differences

    assert told == Difference(
        kind="other_amount",
        charge_id="c1",
        at=SINCE,
        currency=stated.currency,
        ours_minor=100,
        theirs_minor=stated.paid_minor,
        user_id=7,
        payment_id=PAYMENT,
        state="paid",
    )


@pytest.mark.parametrize(
    ("at", "judged"),
    [(SINCE - TICK, False), (SINCE, True), (UNTIL - TICK, True), (UNTIL, False)],
)
def test_only_what_came_within_the_period_is_judged(at, judged):
    stated = compare([line(at=at)], [])
    recorded = compare([], [ours(paid_at=at)])
    refunded = compare([line(at=at, refunded=True, paid_minor=None)], [ours()])

    assert bool(stated.differences) is bool(recorded.differences) is judged
    assert bool(refunded.differences) is (at < UNTIL), "of a charge from before the period, too"


@pytest.mark.parametrize(
    ("read_until", "missing"),
    [(None, True), (SINCE + DAY, False), (SINCE + DAY + TICK, True)],
)
def test_what_the_statement_was_not_read_to_is_not_missing_there(read_until, missing):
    period = Period(SINCE, UNTIL, read_until)

    found = compare([], [ours(paid_at=SINCE + DAY)], period)

    assert bool(found.differences) is missing
    assert period.has(SINCE + DAY)


def test_a_statement_of_a_refund_alone_says_nothing_of_the_payment():
    found = compare([line(paid_minor=None, refunded=True)], [])

    assert (found.matched, found.differences) == (0, [])


@pytest.mark.parametrize(
    ("state", "fields", "found"),
    [
        ("paid", {}, []),
        ("refunding", {}, []),
        ("refunded", {"refunded": True}, []),
        ("charged_back", {"refunded": True}, []),
        ("refunding", {"refunded": True}, []),
        ("paid", {"refunded": True}, ["refund_missing_with_us"]),
        ("refunded", {}, ["refund_missing_with_provider"]),
        ("charged_back", {}, ["refund_missing_with_provider"]),
        ("paid", {"part_minor": 40}, ["partly_refunded"]),
        ("paid", {"part_minor": 1}, ["partly_refunded"]),
        ("refunded", {"refunded": True, "part_minor": 40}, []),
        ("refunded", {"part_minor": 40}, ["refund_missing_with_provider", "partly_refunded"]),
    ],
)
def test_refunds_are_compared_where_the_provider_states_them(state, fields, found):
    lines, charges = [line(**fields)], [ours(state=state)]

    told = compare(lines, charges).differences

    assert [each.kind for each in told] == found
    for each in told:
        theirs = fields["part_minor"] if each.kind == "partly_refunded" else 100
        assert (each.ours_minor, each.theirs_minor, each.state) == (100, theirs, state)
    assert compare(lines, charges, states_refunds=False).differences == []


def test_refunds_that_agree_are_summed_by_currency():
    lines = [line(each, refunded=True) for each in "abc"]
    charges = [
        ours("a", state="refunded"),
        ours("b", state="charged_back"),
        ours("c", state="refunding"),
    ]

    found = compare(lines, charges)

    assert (found.refunds, found.refunded_minor, found.matched) == (2, Counter(USD=200), 3)


def test_a_part_that_went_back_is_told_with_its_amount():
    (told,) = compare([line(part_minor=40)], [ours()]).differences

    assert (told.theirs_minor, told.ours_minor) == (40, 100)


def test_differences_are_told_by_their_moment_then_by_charge():
    lines = [line("z", at=SINCE), line("y", at=SINCE + DAY), line("x", at=SINCE + DAY)]

    found = compare(lines, [ours("w", paid_at=SINCE + 2 * DAY), ours("v", paid_at=SINCE)])

    assert [each.charge_id for each in found.differences] == ["v", "z", "x", "y", "w"]
