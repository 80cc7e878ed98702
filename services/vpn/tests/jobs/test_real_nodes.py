"""The keepers over real sockets: mutual TLS to a real agent, which speaks gRPC to a core.

The core misbehaves in every way there is: no stranger is touched, nobody who paid is cut, operators
are alarmed, and once it behaves again it holds exactly what it should.
"""

import resource
import signal
from datetime import timedelta
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.testing import drain
from contracts import errors
from contracts.vpn import ReconcileNodes, RevokeAccess, RotateKey, SetNode
from devstack.programs import needed
from devstack.testing import scratch_folder
from devstack.v2ray import MISSING, find_v2ray
from simulators.vless_node.client import vless_client
from simulators.vless_node.load_core import XRAY, LoadCore
from simulators.vless_node.node import real_node
from simulators.vless_node.target import Target
from vpn.adapters.nodes import agent
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.pki import Pki
from vpn.agent.testing import tls_files
from vpn.ports.nodes import NodeUnreachableError

NAME = "eu-1"
PATIENT = {"node_down_after": timedelta(seconds=1)}


@pytest.fixture
def pki():
    with scratch_folder() as folder:
        authority = Pki(folder / "pki")
        authority.init()
        authority.node(NAME)
        authority.control()
        yield authority


@pytest.fixture
async def core():
    made = LoadCore(XRAY)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def node(pki, core):
    settings = {"VPN_AGENT_CORE_API": core.address}
    folder = pki.folder.parent / NAME
    async with real_node(NAME, folder, pki=pki.folder, settings=settings) as started:
        yield started


@pytest.fixture
async def shop(open_shop, node, pki):
    driver = AgentNode(NAME, node.url, tls_files(pki), SystemClock())
    async with open_shop({NAME: driver}, **PATIENT) as opened:
        yield opened
    await driver.close()


async def passing(shop, core):
    """Whether the core lets pass exactly whom it should, strangers apart."""
    wanted = await shop.wanted()
    held = {email: key for email, (key, _) in core.users.items()}
    return held == {email: str(each.key) for email, each in wanted.items()}


async def in_step(shop, core):
    async def done():
        [(head,)] = await shop.fetch("SELECT generation FROM desired_head")
        [(confirmed,)] = await shop.fetch("SELECT generation FROM nodes")
        return confirmed >= head and await passing(shop, core)

    await drain(done, within=timedelta(seconds=60), what="the core in step")


async def test_every_change_of_access_reaches_the_core(shop, core):
    await shop.grant(1, 2, 3)
    await in_step(shop, core)

    await shop.handle(RotateKey(user_id=1))
    orders = await shop.fetch("SELECT order_id FROM grants WHERE user_id = 2")
    await shop.handle(RevokeAccess(order_id=orders[0][0], user_id=2))
    await in_step(shop, core)

    assert len(core.users) == 2

    await shop.rotation_confirmed()


@pytest.mark.parametrize("fault", ["errors", "hang", "forget_changes", "empty_list", "foreign"])
async def test_whatever_the_core_does_nobody_who_paid_is_cut(shop, core, fault):
    await shop.grant(*range(1, 9))
    await in_step(shop, core)
    paid = dict(core.users)
    strangers = {f"stranger-{n}": uuid4() for n in range(3)}
    core.faults.foreign = strangers
    if fault != "foreign":
        setattr(core.faults, fault, True)

    await shop.grant(20)
    await shop.handle(ReconcileNodes(due_at=SystemClock().now(), dry_run=True))
    if fault in ("errors", "hang"):
        await shop.alarmed(NAME, errors.NODE_DOWN)
    elif fault == "foreign":
        await shop.alarmed(NAME, errors.NODE_FOREIGN_USERS)
    during = dict(core.users)
    if fault != "foreign":
        setattr(core.faults, fault, False)
    await in_step(shop, core)

    assert paid.items() <= during.items()
    assert core.faults.foreign == strangers
    assert set(core.users).isdisjoint(strangers)


async def revoke(shop, user):
    [(order,)] = await shop.fetch("SELECT order_id FROM grants WHERE user_id = $1", user)
    await shop.handle(RevokeAccess(order_id=order, user_id=user))


async def confirmed(shop):
    async def done():
        return await shop.fetch(
            "SELECT 1 FROM desired_head h, nodes n WHERE n.generation >= h.generation"
        )

    await drain(done, within=timedelta(seconds=60), what="the newest generation confirmed")


async def test_a_revoked_key_that_the_core_kept_is_taken_off_by_the_agent(shop, core, node):
    await node.terminate()
    node.start(VPN_AGENT_CORE_COMPARE_EVERY="0.2")
    await node.wait_ready()
    await shop.grant(1, 2, 3)
    await in_step(shop, core)
    core.faults.foreign = strangers = {"stranger-1": uuid4()}
    core.faults.forget_changes = True
    await revoke(shop, 2)
    await confirmed(shop)
    assert len(core.users) == 3

    core.faults.forget_changes = False

    await in_step(shop, core)
    assert core.faults.foreign == strangers


async def test_a_revoked_key_that_no_agent_remembers_is_taken_off_by_the_keeper(shop, core, node):
    """Only the control plane's records tell a leftover of ours from a stranger."""
    await shop.grant(1, 2, 3)
    await in_step(shop, core)
    [(gone, key)] = await shop.fetch("SELECT id, key FROM subscriptions WHERE user_id = 2")
    await revoke(shop, 2)
    await confirmed(shop)

    async def filled():
        try:
            return (await shop.nodes[NAME].state()).entries == 2
        except NodeUnreachableError:
            return False

    await node.kill()
    for file in (node.folder / "state").glob("desired.*"):
        file.unlink()
    node.start()
    await node.wait_ready()
    await drain(filled, within=timedelta(seconds=60), what="the agent's set put anew")
    core.faults.foreign = strangers = {"stranger-1": uuid4(), str(uuid4()): uuid4()}
    core.users[str(gone)] = (str(key), "")

    await node.kill()
    node.start()  # it is listed at every start
    await node.wait_ready()

    await in_step(shop, core)
    assert str(gone) not in core.users
    assert core.faults.foreign == strangers


async def test_with_a_nodes_disk_full_a_revoked_key_passes_no_more(shop, core, node):
    await shop.grant(1, 2, 3)
    await in_step(shop, core)
    full = (node.folder / "state" / "desired.journal").stat().st_size
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    await shop.grant(4)
    await revoke(shop, 2)

    await shop.alarmed(NAME, errors.NODE_SICK)
    assert await shop.fetch("SELECT detail FROM nodes") == [("not_saved",)]
    alerts = (await shop.nodes[NAME].state()).alerts
    assert any("cannot be put on disk" in each for each in alerts)
    assert len(core.users) == 2

    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await in_step(shop, core)
    await confirmed(shop)


async def test_an_agent_that_hangs_is_told_of_and_cuts_nobody(shop, core, node, monkeypatch):
    """Stopped in its tracks: connections are taken, and nothing is ever answered."""
    monkeypatch.setattr(agent, "READ_SECONDS", 0.5)
    await shop.grant(1, 2, 3)
    await in_step(shop, core)
    paid = dict(core.users)
    node.send(signal.SIGSTOP)
    try:
        await shop.grant(4)
        await shop.alarmed(NAME, errors.NODE_DOWN)
        during = dict(core.users)
    finally:
        node.send(signal.SIGCONT)

    await in_step(shop, core)
    await shop.alarmed(NAME, errors.NODE_UP)
    assert during == paid
    assert paid.items() <= core.users.items()


async def test_a_node_switched_off_lets_none_of_ours_pass_and_leaves_strangers_alone(shop, core):
    await shop.grant(1, 2, 3)
    await in_step(shop, core)
    strangers = {"stranger-1": uuid4()}
    core.faults.foreign = strangers

    await shop.handle(SetNode(node=NAME, state="off", actor="op"))

    async def emptied():
        return await shop.fetch("SELECT emptied FROM nodes") == [(True,)]

    await drain(emptied, what="the node emptied")
    assert not core.users
    assert core.faults.foreign == strangers

    await shop.handle(SetNode(node=NAME, state="active", actor="op"))
    await in_step(shop, core)


async def test_a_core_that_forgot_everybody_has_them_back(shop, core):
    await shop.grant(*range(1, 30))
    await in_step(shop, core)

    await core.restart()

    await in_step(shop, core)


async def test_a_new_agent_with_an_empty_disk_gets_the_whole_set(shop, core, node):
    await shop.grant(*range(1, 10))
    await in_step(shop, core)
    epoch = (await shop.nodes[NAME].traffic()).epoch
    await node.kill()
    for file in (node.folder / "state").rglob("*"):
        if file.is_file():
            file.unlink()

    node.start()
    await node.wait_ready()

    await in_step(shop, core)
    assert (await shop.nodes[NAME].traffic()).epoch not in ("", epoch)


async def test_who_pays_passes_and_who_is_refunded_does_not(open_shop, pki):
    """Through a real core with a real client."""
    v2ray = needed(find_v2ray(), MISSING)
    target = Target()
    await target.start()
    folder = pki.folder.parent / NAME
    async with real_node(NAME, folder, pki=pki.folder, core=v2ray) as node:
        driver = AgentNode(NAME, node.url, tls_files(pki), SystemClock())
        async with open_shop({NAME: driver}) as shop:
            await shop.grant(1)
            [(key,)] = await shop.fetch("SELECT key FROM subscriptions")
            async with vless_client(node.params(key), v2ray=v2ray, target=target) as client:
                await drain(client.passes, what="the first packet")
                [(order,)] = await shop.fetch("SELECT order_id FROM grants")
                await shop.handle(RevokeAccess(order_id=order, user_id=1))

                async def refused():
                    return not await client.passes()

                await drain(refused, what="the refusal")
        await driver.close()
    await target.stop()
