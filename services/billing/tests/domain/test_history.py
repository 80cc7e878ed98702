"""History: every field of a line, where a page ends, and cursors."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain import history
from billing.domain.history import EPOCH, FAR, NEWEST, Cursor, Entry, Gain, Line
from chassis.clock import new_id
from contracts.money import CREDITS_MAX

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ORDER = new_id()
ROUTES = {"hold": ("available", "held"), "post": ("held", "house:revenue")}


def entry(number, kind="grant", *, at=NOW, lot=1, amount=5, order_id=None, reason="", percent=0):
    debit, credit = ROUTES.get(kind, ("house:gifts", "available"))
    return Entry(number, at, kind, debit, credit, lot, amount, order_id, "image.x", reason, percent)


def numbers(lines):
    return [line.first for line in lines]


def test_a_line_says_all_of_its_movement():
    one = entry(9, "hold", lot=2, amount=6, order_id=ORDER, reason="why", percent=30)
    other = entry(8, "hold", lot=1, amount=4, order_id=ORDER, reason="why", percent=30)

    (line,), _ = history.page([one, other], 5, more=False)

    assert line == Line(8, NOW, "hold", -10, 10, ORDER, "image.x", "why", 2, 30)


@pytest.mark.parametrize(
    ("upper", "lower", "lines"),
    [
        (entry(2, "hold", order_id=ORDER, lot=2), entry(1, "hold", order_id=ORDER), 1),
        (entry(2, "hold", order_id=ORDER), entry(1, "hold", order_id=new_id()), 2),
        (entry(2, "hold", order_id=ORDER), entry(1, "post", order_id=ORDER), 2),
        (entry(2, "hold", order_id=ORDER), entry(1, "hold", order_id=ORDER, at=NOW - MINUTE), 2),
        (entry(2, lot=1), entry(1, lot=1), 1),
        (entry(2, lot=2), entry(1, lot=1), 2),
        (entry(2, "gift", lot=2, reason="a"), entry(1, "gift", lot=1, reason="a"), 1),
        (entry(2, "gift", lot=2, reason="a"), entry(1, "gift", lot=1, reason="b"), 2),
        (entry(2, "gift_back", lot=2, reason="a"), entry(1, "gift_back", lot=1, reason="a"), 1),
        (entry(2, "adjust", lot=2, reason="a"), entry(1, "adjust", lot=1, reason="a"), 1),
        (entry(2, "plan", lot=2, reason="vip_30"), entry(1, "plan", lot=1, reason="vip_30"), 1),
        (entry(2, "plan", lot=2, reason="vip_30"), entry(1, "plan", lot=1, reason="vip_7"), 2),
        (entry(2, "expire", lot=2), entry(1, "expire", lot=1), 1),
    ],
)
def test_one_movement_is_one_line(upper, lower, lines):
    assert len(history.page([upper, lower], 5, more=False)[0]) == lines


def test_what_was_added_and_what_was_taken_at_one_moment_are_two_lines():
    added = entry(2, "adjust", lot=2, reason="a")
    taken = Entry(1, NOW, "adjust", "available", "house:revocations", 1, 5, None, "", "a")

    lines, _ = history.page([added, taken], 5, more=False)

    assert [line.credits for line in lines] == [5, -5]


@pytest.mark.parametrize(
    ("routes", "moved"),
    [
        ([("house:sales", "available"), ("house:sales", "debt")], (5, 5)),
        ([("available", "house:revocations"), ("debt", "house:revocations")], (-5, -5)),
        ([("held", "debt")], (0, 5)),
        ([("held", "house:revenue")], (0, 0)),
    ],
)
def test_what_a_movement_did_to_the_debt_is_beside_the_balance(routes, moved):
    entries = [
        Entry(number, NOW, "revoke", debit, credit, 1, 5, None, "", "refund")
        for number, (debit, credit) in enumerate(routes)
    ]

    (line,), _ = history.page(entries, 5, more=False)

    assert (line.credits, line.debt) == moved


def test_a_page_goes_on_only_where_there_is_more():
    entries = [entry(number, lot=number) for number in (3, 2, 1)]

    assert history.page([], 2, more=False) == ([], 0)
    assert history.page([], 2, more=True) == ([], 0)
    for limit, more, shown, goes_on in (
        (3, False, [3, 2, 1], 0),
        (4, False, [3, 2, 1], 0),
        (2, False, [3, 2], 2),
        (1, False, [3], 3),
        (3, True, [3, 2], 2),
        (2, True, [3, 2], 2),
        (1, True, [3], 3),
    ):
        lines, number = history.page(entries, limit, more=more)
        assert (numbers(lines), number) == (shown, goes_on), (limit, more)


def test_two_movements_cut_off_show_the_first():
    lines, number = history.page([entry(2, lot=2), entry(1, lot=1)], 5, more=True)

    assert (numbers(lines), number) == ([2], 2)


def test_one_movement_longer_than_a_page_is_shown_and_goes_on():
    entries = [entry(number, "hold", order_id=ORDER, lot=number) for number in (3, 2)]

    lines, number = history.page(entries, 5, more=True)

    assert (numbers(lines), number) == ([2], 2)


# --- gains between the lines -------------------------------------------------------------------


def gain(minutes):
    return Gain(NOW + minutes * MINUTE, "tier", "vip", None, 0, "draw")


def lines_at(*moments):
    entries = [
        entry(len(moments) - place, at=NOW + minutes * MINUTE, lot=place)
        for place, minutes in enumerate(moments)
    ]
    return history.page(entries, 99, more=False)[0]


def test_all_fit_and_nothing_follows():
    lines, gains = lines_at(3, 1), [gain(2)]

    shown, after = history.merge(lines, gains, 3, asked=NEWEST, next_number=0)

    assert (shown, after) == ([lines[0], gains[0], lines[1]], None)
    assert history.merge([], [], 3, asked=NEWEST, next_number=0) == ([], None)


def test_of_one_moment_what_was_gained_stands_first():
    lines, gains = lines_at(1), [gain(1)]

    shown, _ = history.merge(lines, gains, 2, asked=NEWEST, next_number=0)

    assert shown == [gains[0], lines[0]]


def test_older_movements_follow_though_all_fit():
    lines, gains = lines_at(3, 2), [gain(4)]

    shown, after = history.merge(lines, gains, 3, asked=NEWEST, next_number=1)

    assert (shown, after) == ([*gains, *lines], Cursor(1, NOW + 4 * MINUTE))


def test_a_page_of_lines_leaves_the_gains_where_they_were():
    asked = Cursor(9, NOW + 9 * MINUTE)

    shown, after = history.merge(lines_at(3, 2), [gain(1)], 2, asked=asked, next_number=0)

    assert (len(shown), after) == (2, Cursor(1, asked.before))


def test_a_page_of_gains_leaves_the_lines_where_they_were():
    asked = Cursor(9, NOW + 9 * MINUTE)

    shown, after = history.merge(lines_at(1), [gain(3), gain(2)], 2, asked=asked, next_number=0)

    assert (len(shown), after) == (2, Cursor(9, NOW + 2 * MINUTE))


def test_gains_of_one_moment_are_not_torn_apart():
    gains = [gain(3), gain(2), gain(2), gain(1)]

    shown, after = history.merge(lines_at(2), gains, 2, asked=NEWEST, next_number=0)

    assert (shown, after) == (gains[:3], Cursor(NEWEST.number, NOW + 2 * MINUTE))


# --- cursors -----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    number=st.integers(0, CREDITS_MAX),
    before=st.datetimes(EPOCH.replace(tzinfo=None), FAR.replace(tzinfo=None)),
)
def test_a_cursor_survives_the_wire(number, before):
    cursor = Cursor(number, before.replace(tzinfo=UTC))

    assert history.cursor_of(cursor.wire()) == cursor


def test_a_cursor_is_two_whole_numbers_on_the_wire():
    assert Cursor(7, datetime.fromtimestamp(1, UTC)).wire() == "7-1000000"
    assert Cursor(7, None).wire() == "7-0"


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        (str(CREDITS_MAX + 1), Cursor(CREDITS_MAX, None)),
        (f"3-{'9' * 18}", Cursor(3, datetime(9999, 1, 1, tzinfo=UTC))),
        ("9" * 10 + "-1", Cursor(CREDITS_MAX, EPOCH + timedelta(microseconds=1))),
        ("x", None),
        ("٣", None),
        ("3-" + "9" * 19, None),
    ],
)
def test_a_cursor_from_outside_is_kept_inside_the_calendar(text, cursor):
    assert history.cursor_of(text) == cursor
