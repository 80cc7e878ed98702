"""What people may reach through the real core, and what they may not."""

import asyncio
import json
import socket
from functools import partial
from ipaddress import ip_address

import msgspec
import pytest

from chassis.testing import drain
from simulators.vless_node.client import VlessClient
from simulators.vless_node.node import RealNode
from vpn.agent.testing import new_entry

HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
SETTINGS_FRAME = 4
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
    "node.test",
]
"""`node.test` is a name that the core's resolver answers with 127.0.0.1."""


def socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        return b"\x03" + bytes([len(host)]) + host.encode()
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def answer(client: VlessClient, host: str, port: int, said: bytes, expected: int) -> bytes:
    """Return what the target answers through the node; nothing when it is refused or silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client._port)
    try:
        async with asyncio.timeout(2.0):
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


async def page_answers(client: VlessClient, host: str, port: int) -> bool:
    said = b"GET / HTTP/1.1\r\nhost: target\r\nconnection: close\r\n\r\n"
    return (await answer(client, host, port, said, 12)).startswith(b"HTTP/1.1 200")


def api_port(node: RealNode) -> int:
    note = (node.folder / "state" / "core.note").read_bytes()
    return int(msgspec.json.decode(note)["api_port"])


async def restarted(node: RealNode, **settings: str) -> None:
    await node.terminate()
    node.start(**settings)
    await node.wait_ready()


def operators_base(node: RealNode, path) -> str:
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
        "dns": {"hosts": {"node.test": "127.0.0.1"}, "servers": ["localhost"]},
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
    await restarted(
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
    await restarted(node, VPN_AGENT_CORE_CONFIG=base)
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)
    assert await page_answers(client, "127.0.0.1", target.port)
    assert await page_answers(client, "localhost", target.port)
    named = partial(page_answers, client, "node.test", target.port)
    await drain(named, what="a name of the operator's own")

    await restarted(node, VPN_AGENT_ALLOW_PRIVATE_TARGETS="false")
    answers = await asyncio.gather(*(page_answers(client, host, target.port) for host in LOCAL))

    assert [host for host, answered in zip(LOCAL, answers, strict=True) if answered] == []


async def test_the_plain_configuration_refuses_too(control, node: RealNode, opened, target):
    await restarted(node, VPN_AGENT_ALLOW_PRIVATE_TARGETS="false")
    mine = new_entry()
    await control.put(mine)
    client = await opened(mine)

    assert not await client.passes(2.0)
    assert not await grpc_answers(client, "127.0.0.1", api_port(node))
