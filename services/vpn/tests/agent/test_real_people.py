"""People come and go on a node with the real core, with real VLESS clients."""

from datetime import timedelta

import pytest

from chassis.clock import SystemClock
from devstack.testing import wait_until
from simulators.vless_node.node import RealNode
from vpn.agent.pki import Pki
from vpn.agent.testing import Control, new_entry
from vpn.domain.desired import entry
from vpn.domain.set_hash import set_hash


@pytest.fixture
def node(quiet: tuple[RealNode, Pki]) -> RealNode:
    """One for all tests here, none of which stops anything: an agent takes a second to start."""
    return quiet[0]


@pytest.fixture
def pki(quiet: tuple[RealNode, Pki]) -> Pki:
    return quiet[1]


@pytest.fixture
async def control(control: Control) -> Control:
    """Nobody of another test is left."""
    state = await control.driver.state()
    control.generation, control.hash = state.generation, state.hash
    await control.put_all([])
    return control


async def test_who_is_put_passes_and_who_is_not_does_not(control: Control, opened):
    mine, other = new_entry(), new_entry()
    client, stranger = await opened(mine), await opened(other)
    assert not await client.passes()

    applied = await control.put(mine)

    assert (applied.added, applied.removed, applied.hash) == (1, 0, set_hash([mine]))
    assert await client.passes()
    assert not await stranger.passes()


async def test_who_is_removed_is_refused_and_loses_the_live_connection(control, opened):
    mine, other = new_entry(), new_entry()
    await control.put(mine, other)
    client, neighbour = await opened(mine), await opened(other)
    stream, untouched = await client.stream(), await neighbour.stream()
    state = await control.driver.state()

    applied = await control.remove(mine.email)

    assert applied.removed == 1
    assert not await client.passes()
    if state.cut.supported:
        assert applied.cut_connections == 1
        assert await stream.ends_within(30.0)
    else:
        assert state.cut.reason
        assert await stream.goes_on()
    assert await untouched.goes_on()
    assert await neighbour.passes()


async def test_removal_without_cut_lets_the_live_connection_end_by_itself(control, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    stream = await client.stream()

    await control.remove(mine.email, cut=False)

    assert not await client.passes()
    assert await stream.goes_on()


async def test_an_entry_ends_by_the_agents_own_clock(control, opened):
    mine = new_entry(2.5)
    await control.put(mine)
    client = await opened(mine)
    assert await client.passes()

    async def refused() -> bool:
        return not await client.passes()

    await wait_until(refused, "expired")

    assert SystemClock().now() >= mine.expires_at
    state = await control.driver.state()
    assert (state.entries, state.hash) == (1, set_hash([mine]))  # dropped, but still in the set


async def test_a_rotated_key_is_refused_and_the_new_one_passes(control, opened):
    old = new_entry()
    new = new_entry(email=old.email)
    await control.put(old)
    before, after = await opened(old), await opened(new)
    assert await before.passes()

    applied = await control.put(new)

    assert (applied.added, applied.removed, applied.replaced) == (0, 0, 1)
    assert not await before.passes()
    assert await after.passes()
    stream = await after.stream()
    assert await stream.goes_on(0.6)  # the second look at old connections leaves new ones alone


async def test_renewal_does_not_touch_a_live_stream(control, opened):
    mine = new_entry(3.0)
    await control.put(mine)
    client = await opened(mine)
    stream = await client.stream()

    renewed = entry(mine.email, mine.key, mine.expires_at + timedelta(days=30))
    applied = await control.put(renewed)

    assert (applied.added, applied.removed, applied.replaced) == (0, 0, 0)
    await wait_until(lambda: SystemClock().now() > mine.expires_at, "the old end passed")
    assert await stream.goes_on()
    assert await client.passes()


async def test_an_expired_person_who_renews_passes_again(control, opened):
    mine = new_entry(-10.0)
    await control.put(mine)
    client = await opened(mine)
    assert not await client.passes()

    await control.put(entry(mine.email, mine.key, SystemClock().now() + timedelta(days=1)))

    assert await client.passes()
