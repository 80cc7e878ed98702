"""The agent over the real core, with real VLESS clients."""

import asyncio
import os
import signal
from datetime import timedelta

from chassis.clock import SystemClock
from devstack.testing import ended, wait_until
from simulators.vless_node.node import RealNode
from vpn.agent.testing import Control, new_entry
from vpn.domain.desired import entry
from vpn.domain.set_hash import set_hash

BACK_SECONDS = 2.0


async def until_passes(client, seconds=BACK_SECONDS):
    await wait_until(lambda: client.passes(1.0), "passes", seconds)


async def until_core_is_back(control, restarts):
    async def back() -> bool:
        state = await control.driver.state()
        return state.core.running and state.core.synced and state.core.restarts == restarts

    await wait_until(back, "the core is back", 2 * BACK_SECONDS)


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
        assert await stream.ends_within(1.0)
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

    await wait_until(refused, "expired", 6.0)

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
    await wait_until(lambda: SystemClock().now() > mine.expires_at, "the old end passed", 5.0)
    assert await stream.goes_on()
    assert await client.passes()


async def test_an_expired_person_who_renews_passes_again(control, opened):
    mine = new_entry(-10.0)
    await control.put(mine)
    client = await opened(mine)
    assert not await client.passes()

    await control.put(entry(mine.email, mine.key, SystemClock().now() + timedelta(days=1)))

    assert await client.passes()


async def test_a_killed_core_is_back_within_two_seconds_with_everybody(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    assert await client.passes()
    [before] = node.core_pids()

    os.kill(before, signal.SIGKILL)
    began = asyncio.get_running_loop().time()
    await until_passes(client)

    assert asyncio.get_running_loop().time() - began <= BACK_SECONDS
    await until_core_is_back(control, 1)
    assert (await control.driver.state()).core.pid != before


async def test_a_core_that_dies_again_and_again_is_started_again_and_again(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)

    for time in range(1, 5):
        await node.kill_core()
        await until_passes(client)
        await until_core_is_back(control, time)

    assert (await control.driver.state()).alerts


async def test_a_change_during_a_core_restart_is_not_lost(control, node, opened):
    mine, late = new_entry(), new_entry()
    await control.put(mine)
    client = await opened(late)

    await node.kill_core()
    await control.put(late)

    assert await client.passes()


async def test_a_killed_agent_adopts_its_core_and_cuts_nobody(control, node: RealNode, opened):
    mine, gone = new_entry(), new_entry()
    await control.put(mine, gone)
    client = await opened(mine)
    stream = await client.stream()
    core = node.core_pids()

    await node.kill()
    assert await client.passes()  # people are served without an agent
    node.start()
    await node.wait_ready()

    state = await control.driver.state()
    assert (state.generation, state.hash) == (control.generation, control.hash)
    assert state.core.adopted
    assert node.core_pids() == core
    assert await stream.goes_on()
    leaver = await opened(gone)
    assert await leaver.passes()
    await control.remove(gone.email)
    assert not await leaver.passes()


async def test_agent_and_core_killed_together_come_back_with_everybody(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)

    await node.kill()
    await node.kill_core()
    assert not await client.passes()
    node.start()
    await node.wait_ready()

    assert await client.passes()
    assert not (await control.driver.state()).core.adopted


async def test_an_upgrade_of_the_agent_keeps_core_stream_and_addresses(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    stream = await client.stream()

    assert await node.terminate() == 0
    assert await stream.goes_on()
    node.start()
    await node.wait_ready()

    assert await stream.goes_on()
    applied = await control.remove(mine.email)
    if (await control.driver.state()).cut.supported:
        assert applied.cut_connections == 1  # also of a connection older than the agent
        assert await stream.ends_within(1.0)


async def test_what_ended_while_the_agent_was_away_is_refused_once_it_is_back(
    control, node: RealNode, opened
):
    mine = new_entry(3.0)
    await control.put(mine)
    client = await opened(mine)
    await node.kill()
    await wait_until(lambda: SystemClock().now() > mine.expires_at, "the end passed", 6.0)

    node.start()
    await node.wait_ready()

    assert not await client.passes()


async def test_traffic_never_decreases_over_restarts_of_core_and_agent(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)

    async def counted() -> int:
        page = await control.driver.traffic()
        return sum(one.down_bytes for one in page.users if one.email == mine.email)

    assert await client.passes()
    first = await counted()
    assert first > 0
    await node.kill_core()
    await until_passes(client)
    await until_core_is_back(control, 1)
    second = await counted()
    assert second > first
    await node.kill()
    await node.kill_core()
    node.start()
    await node.wait_ready()
    assert await counted() >= second
    assert await client.passes()
    assert await counted() > second


async def test_ten_thousand_people_are_applied_and_survive_a_restart(control, node, opened):
    people = [new_entry() for _ in range(10_000)]

    applied = await control.put_all(people)

    assert (applied.added, applied.hash) == (10_000, set_hash(people))
    client = await opened(people[7_777])
    assert await client.passes()
    await node.kill_core()
    await until_passes(client)
    applied = await control.remove(*(one.email for one in people[:5_000]))
    assert applied.removed == 5_000
    assert not await (await opened(people[0])).passes()


async def test_a_hung_core_is_ended_and_another_started(control, node: RealNode, opened):
    await node.terminate()
    node.start(VPN_AGENT_CORE_SILENCE_MAX="1")
    await node.wait_ready()
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    [pid] = node.core_pids()

    os.kill(pid, signal.SIGSTOP)

    await wait_until(lambda: ended(pid), "the hung core was killed", 15.0)
    await until_passes(client, 5.0)
