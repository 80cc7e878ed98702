"""A mixed batch goes to few handlers, in an order nobody can tell from that of delivery."""

from itertools import combinations
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.clock import new_id
from chassis.consumers import Received
from chassis.grouping import together
from contracts.envelope import Command, Headers
from contracts.ids import MessageId, UserId


class Spend(Command, frozen=True, kw_only=True):
    subject: ClassVar[str] = "toy.cmd.spend.v1"
    user_ids: tuple[UserId, ...]

    def lock_keys(self) -> tuple[UserId, ...]:
        return self.user_ids


class Earn(Spend, frozen=True, kw_only=True):
    subject: ClassVar[str] = "toy.cmd.earn.v1"


class Close(Spend, frozen=True, kw_only=True):
    subject: ClassVar[str] = "toy.cmd.close.v1"


class Ended(Spend, frozen=True, kw_only=True):
    """About an order, though it locks the account of its owner."""

    subject: ClassVar[str] = "toy.evt.ended.v1"
    order: str

    def order_keys(self) -> tuple[str, ...]:
        return (self.order,)


SUBJECTS = {kind.subject: kind.subject for kind in (Spend, Earn, Close, Ended)}
ONE_TAKES_BOTH = {**SUBJECTS, Earn.subject: Spend.subject}


def received(kind: type[Spend], *users: int) -> Received[Spend]:
    return _of(kind(user_ids=tuple(map(UserId, users))))


def _of(message: Spend) -> Received[Spend]:
    return Received(message, Headers(id=MessageId(new_id())), message.subject, 1)


def shape(*batch: Received[Spend], kinds: dict[str, str] = SUBJECTS) -> list[list[int]]:
    """The groups, each message as its place in the batch."""
    places = {id(each): number for number, each in enumerate(batch)}
    return [[places[id(each)] for each in group] for group in together(batch, kinds)]


def test_messages_of_different_people_join_the_group_of_their_subject():
    batch = [received(Spend, 1), received(Earn, 2), received(Spend, 3), received(Earn, 4)]

    assert shape(*batch) == [[0, 2], [1, 3]]


def test_messages_of_one_person_keep_their_order():
    batch = [received(Spend, 1), received(Earn, 1), received(Spend, 1), received(Spend, 2)]

    assert shape(*batch) == [[0], [1], [2, 3]]


def test_what_one_handler_takes_stays_together_however_it_alternates():
    batch = [received(Spend, 1), received(Earn, 1), received(Close, 2), received(Spend, 1)]

    assert shape(*batch, received(Earn, 2), kinds=ONE_TAKES_BOTH) == [[0, 1, 3], [2], [4]]


def test_what_is_about_different_orders_of_one_person_need_not_keep_its_order():
    ends = [_of(Ended(user_ids=(UserId(1),), order=order)) for order in "ab"]
    again = _of(Ended(user_ids=(UserId(1),), order="a"))

    assert shape(ends[0], received(Spend, 1), ends[1], again) == [[0, 2, 3], [1]]


def test_nothing_passes_a_message_that_locks_nobody():
    batch = [received(Spend, 1), received(Close), received(Spend, 2), received(Close)]

    assert shape(*batch) == [[0], [1], [2], [3]]


@pytest.mark.timeout(60)
@given(
    st.lists(
        st.tuples(st.sampled_from([Spend, Earn, Close]), st.lists(st.integers(1, 4), max_size=2)),
        max_size=30,
    ),
    st.sampled_from([SUBJECTS, ONE_TAKES_BOTH]),
)
def test_whoever_shares_a_lock_is_handled_in_order_of_delivery(drawn, kinds):
    batch = [received(kind, *users) for kind, users in drawn]

    groups = together(batch, kinds)

    handled = [each for group in groups for each in group]
    places = {id(each): number for number, each in enumerate(handled)}
    assert sorted(places) == sorted(map(id, batch))
    assert all(len({kinds[each.subject] for each in group}) == 1 for group in groups)
    for first, second in combinations(batch, 2):
        keys = [set(each.message.lock_keys()) for each in (first, second)]
        if not all(keys) or keys[0] & keys[1]:
            assert places[id(first)] < places[id(second)]
