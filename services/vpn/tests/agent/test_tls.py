"""Who gets an answer from an agent, and how certificates change under way."""

import asyncio
import signal
import ssl
from datetime import timedelta

import aiohttp
import pytest

from chassis.clock import SystemClock
from devstack.testing import wait_until
from simulators.vless_node.node import RealNode
from vpn import node_api
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, new_entry, tls_files
from vpn.ports.nodes import NodeRefusedError, NodeUnreachableError


async def ask(url: str, context: ssl.SSLContext, name: str = NODE, path: str = node_api.STATE):
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(
            url + path, ssl=context, server_hostname=node_api.node_name(name)
        ) as answer:
            return answer.status, await answer.read()


def trusting(pki: Pki) -> ssl.SSLContext:
    """A client that believes the authority and shows nothing."""
    return ssl.create_default_context(cafile=str(pki.folder / "ca.crt"))


async def test_a_client_without_a_certificate_gets_nothing(node: RealNode, pki: Pki):
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, trusting(pki))


async def test_a_client_of_another_authority_gets_nothing(node: RealNode, pki: Pki, folder):
    other = Pki(folder / "other")
    other.init()
    other.control()
    context = trusting(pki)
    context.load_cert_chain(other.folder / "control.crt", other.folder / "control.key")

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_a_nodes_own_certificate_is_no_clients(node: RealNode, pki: Pki):
    context = trusting(pki)
    context.load_cert_chain(pki.folder / f"{NODE}.crt", pki.folder / f"{NODE}.key")

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_an_ended_certificate_gets_nothing(node: RealNode, pki: Pki):
    pki.control(days=-0.001)

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, tls_files(pki).client_context())


async def test_a_client_under_another_name_is_forbidden_everything(node: RealNode, pki: Pki):
    pki.client("stranger", "stranger.vpn.vitrine.internal")
    context = tls_files(pki, "stranger").client_context()

    for path in (node_api.STATE, node_api.USERS, node_api.TRAFFIC, node_api.ONLINE, "/"):
        status, body = await ask(node.url, context, path=path)
        assert status == 403
        assert b"generation" not in body.replace(b'"generation":0', b"")


async def test_tls_older_than_1_3_is_refused(node: RealNode, pki: Pki):
    context = tls_files(pki).client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_a_node_with_another_name_is_not_believed(stack, node: RealNode, pki: Pki):
    driver = AgentNode("node-2", node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)

    with pytest.raises(NodeUnreachableError):
        await driver.state()


async def test_plain_http_gets_no_answer(node: RealNode):
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(b"GET /v1/state HTTP/1.1\r\nhost: x\r\n\r\n")
    try:
        async with asyncio.timeout(10):
            answer = await reader.read(-1)
    except ConnectionResetError:
        answer = b""
    writer.close()

    assert not answer.startswith(b"HTTP")


async def test_certificates_rotate_without_a_failed_request(control, node: RealNode, pki: Pki):
    """A new authority, then new certificates, then the old authority is forgotten."""
    mine = new_entry()
    await control.put(mine)
    asked = 0
    done = asyncio.Event()

    async def keep_asking() -> None:
        nonlocal asked
        while not done.is_set():
            assert (await control.driver.state()).entries >= 1
            asked += 1

    async def serial_is_new(before: set[str]) -> bool:
        return (await certificate_of(node, pki)) not in before

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_asking())
        seen = {await certificate_of(node, pki)}
        pki.init()
        node.send(signal.SIGHUP)
        await asyncio.sleep(
            1.2
        )  # both sides believe both authorities; the client looks each second
        pki.node(NODE)
        node.send(signal.SIGHUP)
        await wait_until(lambda: serial_is_new(seen), "the node's new certificate")
        pki.control()
        await asyncio.sleep(1.2)
        pki.forget_old()
        node.send(signal.SIGHUP)
        await asyncio.sleep(1.2)
        assert (await control.put(new_entry())).added == 1
        done.set()

    assert asked > 50


async def certificate_of(node: RealNode, pki: Pki) -> str:
    context = tls_files(pki).client_context()
    _, writer = await asyncio.open_connection(
        "127.0.0.1", node.port, ssl=context, server_hostname=node_api.node_name(NODE)
    )
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return certificate["serialNumber"]


async def test_a_forgotten_authoritys_client_gets_nothing(node: RealNode, pki: Pki):
    old = tls_files(pki).client_context()
    assert (await ask(node.url, old))[0] == 200
    pki.init()
    pki.node(NODE)
    pki.forget_old()
    node.send(signal.SIGHUP)

    async def refused() -> bool:
        old.load_verify_locations(pki.folder / "ca.crt")
        try:
            await ask(node.url, old)
        except (aiohttp.ClientError, ssl.SSLError, OSError):
            return True
        return False

    await wait_until(refused, "refused")


async def test_a_broken_certificate_on_disk_leaves_the_old_one_in_use(control, node, pki: Pki):
    (pki.folder / f"{NODE}.crt").write_text("nothing")
    node.send(signal.SIGHUP)

    async def says_so() -> bool:
        return any("certificate" in one for one in (await control.driver.state()).alerts)

    await wait_until(says_so, "an alert")
    pki.node(NODE)
    node.send(signal.SIGHUP)

    async def says_no_more() -> bool:
        return not (await control.driver.state()).alerts

    await wait_until(says_no_more, "no alert")


async def test_the_state_says_when_the_certificate_ends(control):
    state = await control.driver.state()

    left = state.certificate_until - SystemClock().now()
    assert timedelta(days=29) < left < timedelta(days=31)


async def test_a_body_too_large_is_refused(control, node: RealNode):
    await node.terminate()
    node.start(VPN_AGENT_BODY_BYTES_MAX="10000")
    await node.wait_ready()

    with pytest.raises(NodeRefusedError) as refused:
        await control.put_all([new_entry() for _ in range(100)])

    assert refused.value.code == node_api.TOO_LARGE


async def test_malformed_requests_are_refused_and_nothing_changes(control, node, pki: Pki):
    context = tls_files(pki).client_context()
    bodies = (
        b"",
        b"{",
        b"[]",
        b'{"generation": "x"}',
        b'{"generation":1,"now":"2026","entries":[]}',
    )
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            async with session.put(
                node.url + node_api.SET,
                data=body,
                ssl=context,
                server_hostname=node_api.node_name(NODE),
            ) as answer:
                assert answer.status == 400
                assert (await answer.json())["code"] == node_api.INVALID
    assert (await control.driver.state()).generation == 0
