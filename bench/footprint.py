"""What the platform costs when nobody orders: CPU over 20 s, memory as PSS."""

from __future__ import annotations

import asyncio

from bench.confirm import order_once
from bench.harness import Figure, cpu_seconds, machine, pss_megabytes
from devstack.stage import running_platform

SERVICES = ("gateway", "billing", "generator", "scheduler", "vpn")
SERVERS = ("nats", "postgres")
WARM_SECONDS = 20
IDLE_SECONDS = 20
USER_ID = 8_000_000


async def measure() -> Figure:
    figure = Figure(
        "footprint, idle",
        "CPU of the whole stack <= 3 % of a core; PSS of the five services <= 520 MB, "
        "of gateway <= 230 MB",
    )
    figure.values |= machine()
    async with running_platform() as stage:
        # A service that never worked would look smaller than it is.
        await order_once(stage, USER_ID)
        await asyncio.sleep(WARM_SECONDS)
        pids = {name: stage.pids(name) for name in (*SERVICES, *SERVERS)}
        before = {name: cpu_seconds(found) for name, found in pids.items()}
        await asyncio.sleep(IDLE_SECONDS)
        shares = {
            name: (cpu_seconds(found) - before[name]) / IDLE_SECONDS * 100
            for name, found in pids.items()
        }
        memory = {name: sum(map(pss_megabytes, pids[name])) for name in SERVICES}
    for name, share in shares.items():
        figure.add(f"CPU of {name}", share, "% of a core", key=f"cpu_{name}")
    figure.add("CPU of all of these", sum(shares.values()), "% of a core", key="cpu_percent")
    for name, megabytes in memory.items():
        figure.add(f"PSS of {name}", megabytes, "MB", key=f"pss_{name}")
    figure.add("PSS of the five services", sum(memory.values()), "MB", key="pss_mb")
    return figure


if __name__ == "__main__":
    asyncio.run(measure()).show()
