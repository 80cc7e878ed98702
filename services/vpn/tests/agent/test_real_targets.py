"""What people may reach through the real core, and what they may not."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from chassis.testing import drain
from simulators.vless_node.client import VlessClient, vless_client
from simulators.vless_node.node import RealNode
from vpn.agent.pki import Pki
from vpn.agent.testing import NODE, new_entry

HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
SETTINGS_FRAME = 4
A, AAAA = 1, 28
OUT_THERE = "3fff::1"
"""Of a net that is for books alone: nothing is ever sent there."""
NOTHING = ""
LOCAL = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "2130706433",
    "0x7f000001",
    "127.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "[::1]",
    "::1%lo",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "0",
    "node.test",
    "NODE.test.",
]
"""`node.test` is a name that the core's resolver answers with 127.0.0.1."""


def socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        return b"\x03" + bytes([len(host)]) + host.encode()
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def answer(
    client: VlessClient, host: str, port: int, said: bytes, expected: int, seconds: float = 2.0
) -> bytes:
    """Return what the target answers through the node; nothing when it is refused or silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.door)
    try:
        async with asyncio.timeout(seconds):
            writer.write(b"\x05\x01\x00")
            await reader.readexactly(2)
            writer.write(b"\x05\x01\x00" + socks_address(host) + port.to_bytes(2, "big"))
            await reader.readexactly(10)
            writer.write(said)
            return await reader.readexactly(expected)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return b""
    finally:
        writer.close()


async def grpc_answers(client: VlessClient, host: str, port: int) -> bool:
    frame = await answer(client, host, port, HTTP2_HELLO, 9)
    return len(frame) == 9 and frame[3] == SETTINGS_FRAME


async def page_answers(client: VlessClient, host: str, port: int, seconds: float = 2.0) -> bool:
    said = b"GET / HTTP/1.1\r\nhost: target\r\nconnection: close\r\n\r\n"
    return (await answer(client, host, port, said, 12, seconds)).startswith(b"HTTP/1.1 200")


def api_port(node: RealNode) -> int:
    note = (node.folder / "state" / "core.note").read_bytes()
    return int(msgspec.json.decode(note)["api_port"])


@pytest.fixture
async def node(folder: Path, pki: Pki, v2ray: str) -> AsyncIterator[RealNode]:
    """Not started yet: each test here has settings of its own."""
    made = RealNode(NODE, folder / NODE, pki=pki.folder, core=v2ray)
    made.folder.mkdir()
    yield made
    await made.close()


async def started(node: RealNode, **settings: str) -> None:
    if node.running:
        await node.terminate()
    node.start(**settings)
    await node.wait_ready()


class Liar(asyncio.DatagramProtocol):
    """A DNS server of somebody who wants in: each question about a name gets its next answer."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked: Counter[tuple[bytes, int]] = Counter()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer) -> None:
        end = data.index(b"\0", 12) + 5
        question = data[12:end]
        kind = int.from_bytes(question[-4:-2], "big")
        turn = self.asked[question, kind]
        self.asked[question, kind] += 1
        raw = ip_address(self.answers[min(turn, len(self.answers) - 1)] or "::")
        if kind == AAAA and raw.version == 4:
            raw = ip_address(f"::ffff:{raw}")
        fits = kind == (A if raw.version == 4 else AAAA) and int(raw) != 0
        counts = bytes((0, 1, 0, fits, 0, 0, 0, 0))
        answer = data[:2] + b"\x81\x80" + counts + question
        if fits:
            answer += b"\xc0\x0c" + question[-4:] + bytes((0, 0, 0, 1, 0, len(raw.packed)))
            answer += raw.packed
        self.transport.sendto(answer, peer)


@asynccontextmanager
async def dns_server(*answers: str) -> AsyncIterator[Liar]:
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Liar(*answers), ("127.0.0.1", 0)
    )
    made.config = {"address": "127.0.0.1", "port": transport.get_extra_info("sockname")[1]}
    yield made
    transport.close()


class Echo(asyncio.DatagramProtocol):
    """Says over UDP what it is told."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer) -> None:
        self.transport.sendto(data, peer)


@pytest.fixture
async def echo_port():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, ("0.0.0.0", 0))
    yield transport.get_extra_info("sockname")[1]
    transport.close()


async def echoes(client: VlessClient, host: str, port: int, seconds: float = 2.0) -> bool:
    """Whether a datagram comes back through the node."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.door)
    loop = asyncio.get_running_loop()
    head = bytes(3) + socks_address(host) + port.to_bytes(2, "big")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.setblocking(False)
        try:
            async with asyncio.timeout(seconds):
                writer.write(b"\x05\x01\x00")
                await reader.readexactly(2)
                writer.write(b"\x05\x03\x00\x01" + bytes(6))
                reply = await reader.readexactly(10)
                relay = ("127.0.0.1", int.from_bytes(reply[8:10], "big"))
                await loop.sock_sendto(mine, head + b"hello", relay)
                return (await loop.sock_recv(mine, 2048)).endswith(b"hello")
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()


def operators_base(node: RealNode, path, *servers: object) -> str:
    """The widest configuration an operator could give: everything passes, names as they are."""
    inbound = {
        "tag": "vless",
        "listen": "127.0.0.1",
        "port": node.vless_port,
        "protocol": "vless",
        "settings": {"decryption": "none", "clients": []},
    }
    base = {
        "inbounds": [inbound],
        "outbounds": [{"protocol": "freedom", "tag": "direct"}],
        "dns": {"hosts": {"node.test": "127.0.0.1"}, "servers": list(servers or ("localhost",))},
        "routing": {
            "domainStrategy": "AsIs",
            "rules": [{"type": "field", "network": "tcp,udp", "outboundTag": "direct"}],
        },
    }
    path.write_text(json.dumps(base))
    return str(path)


@pytest.mark.parametrize("allowed", ["true", "false"])
async def test_nobody_reaches_the_cores_api_through_the_node(
    control, node: RealNode, opened, folder, allowed
):
    await started(
        node,
        VPN_AGENT_CORE_CONFIG=operators_base(node, folder / "base.json"),
        VPN_AGENT_ALLOW_PRIVATE_TARGETS=allowed,
    )
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    port = api_port(node)
    with socket.create_connection(("127.0.0.1", port), 1.0):
        pass  # it is there

    answers = await asyncio.gather(*(grpc_answers(client, host, port) for host in LOCAL))

    assert [host for host, answered in zip(LOCAL, answers, strict=True) if answered] == []


async def test_private_targets_pass_only_where_they_are_allowed(
    control, node: RealNode, opened, target, folder
):
    base = operators_base(node, folder / "base.json")
    await started(node, VPN_AGENT_CORE_CONFIG=base)
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    assert await page_answers(client, "127.0.0.1", target.port)
    assert await page_answers(client, "localhost", target.port)
    named = partial(page_answers, client, "node.test", target.port)
    await drain(named, what="a name of the operator's own")

    await started(node, VPN_AGENT_ALLOW_PRIVATE_TARGETS="false")
    answers = await asyncio.gather(*(page_answers(client, host, target.port) for host in LOCAL))

    assert [host for host, answered in zip(LOCAL, answers, strict=True) if answered] == []


async def test_the_plain_configuration_refuses_too(control, node: RealNode, opened, target):
    await started(node, VPN_AGENT_ALLOW_PRIVATE_TARGETS="false")
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)

    assert not await client.passes(2.0)
    assert not await grpc_answers(client, "127.0.0.1", api_port(node))


@pytest.mark.parametrize("first", [OUT_THERE, NOTHING])
async def test_a_name_that_means_something_else_at_the_second_look_leads_nowhere(
    control, node: RealNode, opened, target, folder, first
):
    async with dns_server(first, "127.0.0.1") as liar:
        await started(
            node,
            VPN_AGENT_CORE_CONFIG=operators_base(node, folder / "base.json", liar.config),
            VPN_AGENT_ALLOW_PRIVATE_TARGETS="false",
        )
        mine = new_entry()
        await control.put(mine)
        client = await opened(mine)

        names = [f"name-{number}.attacker.shop" for number in range(5)]
        ways = [page_answers(client, name, target.port, 4.0) for name in names]
        answers = await asyncio.gather(*ways)

        assert liar.asked
    assert [name for name, answered in zip(names, answers, strict=True) if answered] == []


@pytest.mark.parametrize("muxed", [False, True])
async def test_only_what_is_allowed_is_reached_by_address_by_name_and_by_udp(
    control, node: RealNode, stack, v2ray, target, echo_port, muxed
):
    async with dns_server("127.0.0.1") as names:
        await started(
            node,
            VPN_AGENT_CORE_CONFIG=operators_base(node, node.folder / "base.json", names.config),
            VPN_AGENT_ALLOW_PRIVATE_TARGETS="false",
            VPN_AGENT_ALLOWED_TARGETS='["127.0.0.1/32"]',
        )
        mine = new_entry()
        await control.put(mine)
        client = await stack.enter_async_context(
            vless_client(node.params(mine.key), v2ray=v2ray, target=target, muxed=muxed)
        )

        assert await page_answers(client, "127.0.0.1", target.port)
        assert await page_answers(client, "a.neighbour.shop", target.port, 5.0)
        assert await echoes(client, "127.0.0.1", echo_port, 5.0)
        others = ["127.0.0.2", "::1", "::ffff:127.0.0.2", "localhost", "192.0.2.1"]
        others = [host for host in others if await echoes(client, host, echo_port, 0.5)]
        assert others == []
        ports = own_ports(node)
        assert len(ports) == 2
        reached = [port for port in ports if await grpc_answers(client, "127.0.0.1", port)]
        reached += [port for port in ports if await grpc_answers(client, "b.neighbour.shop", port)]
        assert reached == []
    counted = (await control.driver.traffic()).users
    assert [one.email for one in counted] == [mine.email]


def own_ports(node: RealNode) -> list[int]:
    """The ports the core has for itself: its API, and its second look."""
    config = msgspec.json.decode((node.folder / "state" / "core.json").read_bytes())
    return [one["port"] for one in config["inbounds"] if one["tag"].startswith("vitrine-")]
