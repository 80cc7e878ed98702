"""Who gets an answer from an agent, and how certificates change under way."""

import asyncio
import signal
import ssl
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from chassis.clock import SystemClock
from devstack.testing import wait_until
from simulators.vless_node.node import RealNode
from vpn import node_api
from vpn.adapters.nodes.agent import AgentNode
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, new_entry, tls_files
from vpn.ports.nodes import NodeUnreachableError

ANSWERS_EACH_TIME = 5
"""Before a rotation begins, and after each of its steps."""


async def ask(url: str, context: ssl.SSLContext, name: str = NODE, path: str = node_api.STATE):
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(
            url + path, ssl=context, server_hostname=node_api.node_name(name)
        ) as answer:
            return answer.status, await answer.read()


def trusting(pki: Pki) -> ssl.SSLContext:
    """A client that believes the authority and shows nothing."""
    return ssl.create_default_context(cafile=str(pki.folder / "ca.crt"))


async def test_a_client_without_a_certificate_gets_nothing(quiet):
    node, pki = quiet
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, trusting(pki))


async def test_a_client_of_another_authority_gets_nothing(quiet, folder: Path):
    node, pki = quiet
    other = Pki(folder / "other")
    other.init()
    other.control()
    context = trusting(pki)
    context.load_cert_chain(other.folder / "control.crt", other.folder / "control.key")

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_a_nodes_own_certificate_is_no_clients(quiet):
    node, pki = quiet
    context = trusting(pki)
    context.load_cert_chain(pki.folder / f"{NODE}.crt", pki.folder / f"{NODE}.key")

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_an_ended_certificate_gets_nothing(quiet):
    node, pki = quiet
    pki.client("ended", node_api.CONTROL_NAME, days=-0.001)

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, tls_files(pki, "ended").client_context())


async def test_a_client_under_another_name_is_forbidden_everything(quiet):
    node, pki = quiet
    pki.client("stranger", "stranger.vpn.vitrine.internal")
    context = tls_files(pki, "stranger").client_context()

    for path in (node_api.STATE, node_api.USERS, node_api.TRAFFIC, node_api.ONLINE, "/"):
        status, body = await ask(node.url, context, path=path)
        assert status == 403
        assert b"generation" not in body.replace(b'"generation":0', b"")


async def test_tls_older_than_1_3_is_refused(quiet):
    node, pki = quiet
    context = tls_files(pki).client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
        await ask(node.url, context)


async def test_a_node_with_another_name_is_not_believed(stack, quiet):
    node, pki = quiet
    driver = AgentNode("node-2", node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)

    with pytest.raises(NodeUnreachableError):
        await driver.state()


async def test_plain_http_gets_no_answer(quiet):
    node, _ = quiet
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(b"GET /v1/state HTTP/1.1\r\nhost: x\r\n\r\n")
    try:
        async with asyncio.timeout(10):
            answer = await reader.read(-1)
    except ConnectionResetError:
        answer = b""
    writer.close()

    assert not answer.startswith(b"HTTP")


async def test_certificates_rotate_without_a_failed_request(
    control, node: RealNode, pki: Pki, monkeypatch
):
    """A new authority, then new certificates, then the old authority is forgotten."""
    monkeypatch.setattr("vpn.adapters.nodes.agent.CERTIFICATE_CHECK_SECONDS", 0.0)
    await control.put(new_entry())
    old = tls_files(pki).client_context()
    before = await certificate_of(node, old)
    asked = {"kept": 0, "anew": 0}
    done = asyncio.Event()

    async def keep_asking() -> None:
        while not done.is_set():
            assert (await control.driver.state()).entries >= 1
            asked["kept"] += 1

    async def ask_anew() -> None:
        while not done.is_set():
            assert (await ask(node.url, await whole_context(pki)))[0] == 200
            asked["anew"] += 1

    async def go_on() -> None:
        """Both ways get further answers, however slow the machine is; a failed one ends all."""
        enough = {way: count + ANSWERS_EACH_TIME for way, count in asked.items()}
        await wait_until(lambda: all(asked[way] >= enough[way] for way in enough), "answers")

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_asking())
        group.create_task(ask_anew())
        await go_on()
        pki.init()
        pki.client("of-new", node_api.CONTROL_NAME)
        node.send(signal.SIGHUP)
        of_new = tls_files(pki, "of-new").client_context()
        await wait_until(lambda: is_served(node, of_new), "the new authority is believed")
        await go_on()
        pki.node(NODE)
        node.send(signal.SIGHUP)

        async def is_new() -> bool:
            return await certificate_of(node, of_new) != before

        await wait_until(is_new, "the node's new certificate")
        await go_on()
        pki.control()
        pki.forget_old()
        node.send(signal.SIGHUP)
        old.load_verify_locations(pki.folder / "ca.crt")

        async def is_forgotten() -> bool:
            return not await is_served(node, old)

        await wait_until(is_forgotten, "the old authority is forgotten")
        await go_on()
        assert (await control.put(new_entry())).added == 1
        done.set()

    assert min(asked.values()) >= 4 * ANSWERS_EACH_TIME, asked


async def whole_context(pki: Pki) -> ssl.SSLContext:
    """Load what the control plane has on disk, once key and certificate fit."""
    while True:
        try:
            return tls_files(pki).client_context()
        except ssl.SSLError:
            await asyncio.sleep(0.01)


async def is_served(node: RealNode, context: ssl.SSLContext) -> bool:
    try:
        return (await ask(node.url, context))[0] == 200
    except (aiohttp.ClientError, ssl.SSLError, OSError):
        return False


async def test_a_connection_does_not_outlive_its_clients_certificate(node: RealNode, pki: Pki):
    reader, writer, until = await connected_before_the_end(node, pki.folder)
    await wait_until(lambda: SystemClock().now() > until, "it ended", LIFETIMES[-1] + 30)

    assert await status(reader, writer) == 403
    assert await reader.read() == b""
    writer.close()


LIFETIMES = (3, 10, 40)
"""Seconds. On a busy machine the shortest may be over before the first answer."""


async def connected_before_the_end(
    node: RealNode, folder: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, datetime]:
    """Come with a certificate that ends soon, and get an answer before it does."""
    for seconds in LIFETIMES:
        pki = Pki(folder)  # it counts from when it is made
        pki.control(days=seconds / 86_400)
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1",
                node.port,
                ssl=tls_files(pki).client_context(),
                server_hostname=node_api.node_name(NODE),
            )
            if await status(reader, writer) == 200:
                return reader, writer, tls_files(pki).certificate_until()
            writer.close()
    raise AssertionError("no answer before the certificate's end")


async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(b"GET /v1/state HTTP/1.1\r\nhost: x\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
    return int(head.split()[1])


async def certificate_of(node: RealNode, context: ssl.SSLContext) -> str:
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

    old.load_verify_locations(pki.folder / "ca.crt")

    async def refused() -> bool:
        return not await is_served(node, old)

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


async def test_the_state_says_when_the_certificate_ends(stack, quiet):
    node, pki = quiet
    driver = AgentNode(NODE, node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)

    state = await driver.state()

    left = state.certificate_until - SystemClock().now()
    assert timedelta(days=29) < left < timedelta(days=31)


async def test_of_two_certificates_the_state_tells_of_the_first_to_end(stack, quiet):
    """Ours, by which we come to every node, is nobody else's to watch."""
    node, pki = quiet
    pki.control(days=3)
    driver = AgentNode(NODE, node.url, tls_files(pki), SystemClock())
    stack.push_async_callback(driver.close)

    left = (await driver.state()).certificate_until - SystemClock().now()

    assert timedelta(days=2) < left < timedelta(days=4)


async def test_a_certificate_only_tls_can_read_is_used_and_its_end_unknown(stack, quiet):
    """OpenSSL has more than one name for one; what reads its end has not."""
    node, pki = quiet
    files = tls_files(pki)
    text = files.certificate.read_text().replace(" CERTIFICATE", " TRUSTED CERTIFICATE")
    files.certificate.write_text(text)
    with pytest.raises(ValueError, match="PEM"):
        files.certificate_until()
    driver = AgentNode(NODE, node.url, files, SystemClock())
    stack.push_async_callback(driver.close)

    left = (await driver.state()).certificate_until - SystemClock().now()

    assert timedelta(days=29) < left < timedelta(days=31), "the node's own is known all the same"
