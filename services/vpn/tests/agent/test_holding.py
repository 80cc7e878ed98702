"""What a request to change the set means, and when it is refused."""

from uuid import UUID

import pytest

from chassis.clock import SystemClock
from vpn import node_api
from vpn.agent.holding import Holding, RefusedError
from vpn.agent.testing import new_entry
from vpn.domain.desired import Entry, entry
from vpn.domain.set_hash import EMPTY, set_hash


def a_set(generation: int, *entries: Entry) -> node_api.SetRequest:
    return node_api.SetRequest(generation, SystemClock().now(), list(entries))


def a_change(holding: Holding, generation: int, **kwargs) -> node_api.ChangesRequest:
    base = {"base_generation": holding.generation, "base_hash": holding.hash, **kwargs}
    return node_api.ChangesRequest(generation=generation, now=SystemClock().now(), **base)


def holding(*entries: Entry, generation: int = 5) -> Holding:
    return Holding(generation, {one.email: one for one in entries})


def code(refused: pytest.ExceptionInfo[RefusedError]) -> str:
    return refused.value.code


def test_the_hash_follows_every_change_and_ends_empty():
    held, mine, other = holding(), new_entry(), new_entry()
    rotated = new_entry(email=mine.email)

    for generation, request in enumerate(([mine], [mine, other], [rotated, other], []), start=6):
        held.take(generation, held.plan_set(a_set(generation, *request)))
        assert held.hash == set_hash(request)

    assert held.hash == EMPTY


def test_a_lower_generation_is_refused_also_with_the_same_content():
    mine = new_entry()
    held = holding(mine)

    with pytest.raises(RefusedError) as refused:
        held.plan_set(a_set(4, mine))
    assert code(refused) == node_api.OLDER_GENERATION
    with pytest.raises(RefusedError) as refused:
        held.plan_change(a_change(held, 4, put=[mine]))
    assert code(refused) == node_api.OLDER_GENERATION


def test_a_repeated_change_is_success_without_work():
    mine = new_entry()
    held = holding(new_entry())
    change = a_change(held, 6, put=[mine], remove=["nobody"])
    held.take(6, held.plan_change(change))

    assert not held.plan_change(change)


def test_another_change_of_the_same_generation_is_refused():
    held = holding(new_entry())

    with pytest.raises(RefusedError) as refused:
        held.plan_change(a_change(held, 5, put=[new_entry()]))

    assert code(refused) == node_api.OTHER_BASE


def test_a_change_to_another_set_is_refused():
    held = holding(new_entry())

    with pytest.raises(RefusedError) as refused:
        held.plan_change(a_change(held, 6, base_hash=EMPTY, put=[new_entry()]))

    assert code(refused) == node_api.OTHER_BASE


def test_a_key_may_move_to_another_email_only_when_it_leaves_the_first():
    mine = new_entry()
    held = holding(mine)
    moved = entry("other", mine.key, mine.expires_at)

    with pytest.raises(RefusedError) as refused:
        held.plan_change(a_change(held, 6, put=[moved]))
    assert code(refused) == node_api.INVALID
    held.take(6, held.plan_change(a_change(held, 6, put=[moved], remove=[mine.email])))

    assert held.hash == set_hash([moved])


def test_keys_that_differ_in_the_route_bytes_alone_are_the_same_key():
    mine = new_entry()
    raw = bytearray(mine.key.bytes)
    raw[7] ^= 1
    held = holding(mine)

    with pytest.raises(RefusedError):
        held.plan_change(
            a_change(held, 6, put=[entry("other", UUID(bytes=bytes(raw)), mine.expires_at)])
        )


@pytest.mark.parametrize("email", ["", "Upper@Case"])
def test_an_email_the_core_would_alter_is_refused(email: str):
    mine = new_entry()

    with pytest.raises(RefusedError) as refused:
        holding().plan_set(a_set(6, Entry(email, mine.key, mine.expires_at)))

    assert code(refused) == node_api.INVALID


def test_an_email_given_twice_is_refused():
    mine = new_entry()

    with pytest.raises(RefusedError):
        holding().plan_set(a_set(6, mine, new_entry(email=mine.email)))
    held = holding(mine)
    with pytest.raises(RefusedError):
        held.plan_change(a_change(held, 6, put=[mine], remove=[mine.email]))
