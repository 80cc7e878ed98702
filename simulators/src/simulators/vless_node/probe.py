"""The smallest VLESS client there is: one new connection, and whether its first byte comes back.

Starting a whole v2ray for every key would take longer than what is measured with it.
"""

from __future__ import annotations

import asyncio

from simulators.vless_node.params import VlessParams

ANSWER_SECONDS = 5.0
VERSION = b"\x00"
NO_ADDONS = b"\x00"
CONNECT_TCP = b"\x01"
IPV4 = b"\x01"
LOOPBACK = bytes((127, 0, 0, 1))
REQUEST = b"GET / HTTP/1.1\r\nhost: target\r\nconnection: close\r\n\r\n"


def header(params: VlessParams, port: int) -> bytes:
    """What a client says first: who it is, and where on loopback it wants to go."""
    where = port.to_bytes(2, "big") + IPV4 + LOOPBACK
    return VERSION + params.key.bytes + NO_ADDONS + CONNECT_TCP + where


async def passes(
    params: VlessParams, target_port: int, timeout_seconds: float = ANSWER_SECONDS
) -> bool:
    """Whether the target's first byte comes through. False: refused, unreachable or silent."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(params.host, params.port)
            writer.write(header(params, target_port) + REQUEST)
            version, addons = await reader.readexactly(2)
            await reader.readexactly(addons)
            return version == VERSION[0] and await reader.readexactly(1) == b"H"
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()
