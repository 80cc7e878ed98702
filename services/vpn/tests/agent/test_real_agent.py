"""What the agent over a real core refuses, says and hides."""

import asyncio

import msgspec
import pytest

from chassis.clock import SystemClock
from devstack.testing import ended, wait_until
from simulators.vless_node.load_core import XRAY, LoadCore
from simulators.vless_node.node import RealNode, real_node
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.testing import NODE, Control, new_entry, tls_files
from vpn.ports.nodes import NodeRefusedError, NodeUnreachableError


async def test_an_agent_told_not_to_keep_its_core_ends_it(control, node: RealNode):
    await node.terminate()
    node.start(VPN_AGENT_KEEP_CORE="false")
    await node.wait_ready()
    [pid] = node.core_pids()

    assert await node.terminate() == 0

    await wait_until(lambda: ended(pid), "the core ended")


async def test_a_changed_configuration_restarts_the_core(control, node: RealNode, opened):
    mine = new_entry()
    await control.put(mine)
    [before] = node.core_pids()
    await node.terminate()

    node.start(VPN_AGENT_FOLLOW_CONNECTIONS="false")
    await node.wait_ready()

    [after] = node.core_pids()
    assert after != before
    assert await (await opened(mine)).passes()
    state = await control.driver.state()
    assert not state.cut.supported
    assert state.cut.reason


async def test_online_counts_addresses_with_live_connections(control, node, opened):
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    stream = await client.stream()

    assert (await control.driver.online()) == {mine.email: 1}
    await stream.close()

    async def nobody() -> bool:
        return not await control.driver.online()

    await wait_until(nobody, "offline")


async def test_generations_are_refused_as_agreed(control, opened):
    mine = new_entry()
    await control.put_all([mine])
    await control.put(new_entry())
    driver = control.driver

    with pytest.raises(NodeRefusedError) as older:
        await driver.put_set(control.generation - 1, [])
    assert (older.value.code, older.value.generation) == ("older_generation", control.generation)
    assert older.value.hash == control.hash
    control.hash = "0" * 32
    with pytest.raises(NodeRefusedError) as other:
        await control.put(new_entry())
    assert other.value.code == "other_base"
    assert (await driver.state()).entries == 2


async def test_the_cores_api_listens_on_loopback_alone_and_secrets_are_private(control, node):
    [pid] = node.core_pids()
    state = node.folder / "state"
    config = msgspec.json.decode((state / "core.json").read_bytes())
    port = msgspec.json.decode((state / "core.note").read_bytes())["api_port"]

    listening = await asyncio.create_subprocess_exec(
        "ss", "-Hltnp", f"sport = :{port}", stdout=asyncio.subprocess.PIPE
    )
    out = (await listening.communicate())[0].decode()

    assert [line.split()[3] for line in out.splitlines()] == [f"127.0.0.1:{port}"]
    assert f"pid={pid}," in out
    assert config["log"]["access"].endswith("access.pipe")
    assert (state / "access.pipe").is_fifo()
    for path in state.iterdir():
        if path.name != "core.log":
            assert path.stat().st_mode & 0o077 == 0, path


async def test_no_agent_is_unreachable(control, node):
    await node.kill()

    with pytest.raises(NodeUnreachableError):
        await control.driver.state()


async def test_a_core_that_somebody_else_runs_is_filled_through_the_agent(stack, folder, pki):
    core = LoadCore(XRAY)
    await core.start()
    stack.push_async_callback(core.stop)
    node = await stack.enter_async_context(
        real_node(
            NODE, folder / NODE, pki=pki.folder, settings={"VPN_AGENT_CORE_API": core.address}
        )
    )
    driver = AgentNode(NODE, node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)
    people = [new_entry() for _ in range(500)]

    await Control(driver).put_all(people)

    assert set(core.users) == {one.email for one in people}
    state = await driver.state()
    assert (state.core.kind, state.core.lists_users, state.core.adopted) == (XRAY, True, True)
    assert not state.cut.supported
    listed = await driver.users()
    assert (listed.source, len(listed.users)) == ("core", 500)


async def test_a_core_that_cannot_be_started_is_said_and_started_once_it_can(
    control, node: RealNode, opened
):
    mine = new_entry()
    await control.put(mine)
    await node.kill()
    await node.kill_core()
    in_the_way = node.folder / "state" / "core.json.new"
    in_the_way.mkdir()

    node.start()

    async def says_so() -> bool:
        try:
            state = await control.driver.state()
        except NodeUnreachableError:
            return False
        return not state.core.running and any("core.json" in one for one in state.alerts)

    await wait_until(says_so, "an alert")
    in_the_way.rmdir()
    await node.wait_ready()
    assert await (await opened(mine)).passes()


async def test_a_damaged_journal_is_alarmed_and_cuts_nobody(control, node: RealNode, opened):
    lost, mine, other = new_entry(), new_entry(), new_entry()
    await control.put(lost)
    await control.put(mine)
    await control.put(other)
    client, neighbour = await opened(lost), await opened(mine)
    stream = await client.stream()
    await node.kill()
    journal = node.folder / "state" / "desired.journal"
    data = bytearray(journal.read_bytes())
    data[25] ^= 1
    journal.write_bytes(data)

    node.start()
    await node.wait_ready()

    state = await control.driver.state()
    assert (state.generation, state.entries) == (0, 2)
    assert any("are readable and served" in one for one in state.alerts)
    assert await stream.goes_on()
    assert await client.passes()
    assert await neighbour.passes()
    await control.put_all([lost, mine, other])
    state = await control.driver.state()
    assert (state.generation, state.hash, state.alerts) == (control.generation, control.hash, [])
    assert await client.passes()
    assert await stream.goes_on()
