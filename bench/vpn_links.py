"""How many subscription links a second one process answers, and how long the slowest wait.

10,000 links in memory, asked for in turn over 16 kept connections, five seconds for each format.
The server is a process of its own and shares the machine's cores with the one that asks. Its rate
limits are wide open; a page is the first one its reader sees, so its QR code is drawn anew.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING

import psutil

from bench.harness import Figure, machine, percentile
from chassis.clock import SystemClock
from chassis.rates import Rate
from vpn.adapters.memory_links import MemoryLinks, sample
from vpn.domain.links import Shop
from vpn.webhooks import Limits, SubscriptionLinks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINKS = 10_000
CONNECTIONS = 16
SECONDS = 5.0
WARM_SECONDS = 0.5
NODES = 5
WIDE = Rate(per_second=1e9, burst=10**9)
ASKED = {
    "base64": ("v2rayNG/1.10.23", ""),
    "Clash.Meta": ("mihomo/1.19.12", ""),
    "sing-box": ("SFA/1.12.8", ""),
    "not changed (304)": ("v2rayNG/1.10.23", "If-None-Match: *\r\n"),
    "page": ("Mozilla/5.0 (iPhone)", "Accept: text/html\r\n"),
}
SMALL = {"not changed (304)": "not_changed", "Clash.Meta": "clash_meta", "sing-box": "sing_box"}


def token(number: int) -> str:
    return f"{number:032}"


async def serve() -> None:
    """The other process: says its port, then serves until it is ended."""
    clock = SystemClock()
    view = sample(clock.now() + timedelta(days=12))
    view = type(view)(
        **{name: getattr(view, name) for name in view.__slots__} | {"nodes": view.nodes[:NODES]}
    )
    links = MemoryLinks({token(number): view for number in range(LINKS)})
    server = SubscriptionLinks(
        links,
        Shop(title="Bench", base_url="https://sub.example.com"),
        clock=clock,
        titles={},
        host="127.0.0.1",
        port=0,
        limits=Limits(token=WIDE, address=WIDE, unknown=WIDE),
    )
    await server.start()
    print(f"port {server.port}", flush=True)
    await asyncio.Event().wait()


async def measure() -> Figure:
    figure = Figure(
        f"subscription links: {LINKS:,} links of {NODES} nodes",
        "p99 <= 50 ms for apps, at full speed",
    )
    figure.values |= machine()
    async with _server() as (port, process):
        for name, (agent, extra) in ASKED.items():
            await _load(port, agent, extra, WARM_SECONDS)
            waits, took = await _load(port, agent, extra, SECONDS)
            key = SMALL.get(name, name)
            figure.add(f"{name}: a second", len(waits) / took, "", key=f"{key}_per_second")
            figure.add(f"{name}: p50", percentile(waits, 0.5) * 1e3, "ms", key=f"{key}_p50_ms")
            figure.add(f"{name}: p99", percentile(waits, 0.99) * 1e3, "ms", key=f"{key}_p99_ms")
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        figure.add("server's memory", memory, "MiB", key="rss_mib")
    return figure


@asynccontextmanager
async def _server() -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.vpn_links", "serve", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.startswith(b"port "):
                yield int(line.split()[1]), process
                return
        raise RuntimeError("the server did not start")
    finally:
        process.kill()
        await process.wait()


async def _load(port: int, agent: str, extra: str, seconds: float) -> tuple[list[float], float]:
    began = perf_counter()
    waits: list[float] = []
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(_client(port, agent, extra, number, began + seconds, waits))
    return waits, perf_counter() - began


async def _client(
    port: int, agent: str, extra: str, number: int, until: float, waits: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (before := perf_counter()) < until:
        number = (number + CONNECTIONS) % LINKS
        asked = (
            f"GET /sub/{token(number)} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n{extra}\r\n"
        )
        writer.write(asked.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 304")), head
        if head.startswith(b"HTTP/1.1 200"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
        waits.append(perf_counter() - before)
    writer.close()
    await writer.wait_closed()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        asyncio.run(measure()).show()
