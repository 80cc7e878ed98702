"""The direct driver, over a core of gRPC alone: it does what it can and says what it cannot."""

from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from simulators.vless_node.load_core import V2RAY, XRAY, LoadCore
from vpn.adapters.nodes.xray_grpc import XrayGrpcNode
from vpn.agent.testing import Control, new_entry
from vpn.domain.set_hash import set_hash
from vpn.ports.nodes import NodeRefusedError, NodeUnreachableError


@pytest.fixture(params=[XRAY, V2RAY])
async def core(request):
    load = LoadCore(request.param)
    await load.start()
    yield load
    await load.stop()


@pytest.fixture
async def control(core):
    driver = XrayGrpcNode("node-1", core.address, "vless", SystemClock())
    yield Control(driver)
    await driver.close()


async def test_sets_and_changes_reach_the_core(core, control):
    mine, other = new_entry(), new_entry()
    await control.put_all([mine, other])
    rotated = new_entry(email=mine.email)

    applied = await control.put(rotated)
    await control.remove(other.email)

    assert applied.replaced == 1
    assert control.hash == set_hash([rotated])
    assert set(core.users) == {mine.email}
    assert core.passes(mine.email, rotated.key)


async def test_it_says_what_it_cannot(core, control):
    state = await control.driver.state()

    assert not state.cut.supported
    assert state.cut.reason
    assert state.expiry_paused
    assert state.alerts
    users = await control.driver.users()
    assert (users is not None) == (core.kind == XRAY)


async def test_generations_and_bases_are_refused_as_an_agent_does(control):
    mine = new_entry()
    await control.put_all([mine])

    with pytest.raises(NodeRefusedError) as older:
        await control.driver.put_set(0, [])
    assert older.value.code == "older_generation"
    control.hash = "0" * 32
    with pytest.raises(NodeRefusedError) as other:
        await control.put(new_entry())
    assert (other.value.code, other.value.hash) == ("other_base", set_hash([mine]))


async def test_foreign_users_are_left_alone(core, control):
    stranger = str(uuid4())
    core.faults.foreign = {stranger: uuid4()}
    await control.put_all([new_entry()])
    await control.put_all([])

    assert stranger in core.faults.foreign
    assert core.users == {}


async def test_a_restarted_core_is_seen_to_hold_nobody(core, control):
    core.age(60.0)  # it counts its uptime in whole seconds
    await control.put_all([new_entry()])
    await control.driver.state()
    await core.restart()

    state = await control.driver.state()

    assert (state.entries, state.core.restarts) == (0, 1)


async def test_no_core_is_unreachable(core, control):
    await core.stop()

    with pytest.raises(NodeUnreachableError):
        await control.driver.state()
