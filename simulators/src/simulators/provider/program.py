"""Runs a provider as a program until it is told to stop."""

import asyncio
import signal
import sys

from simulators.provider.server import AnySimulator


def run(simulator: AnySimulator) -> None:
    asyncio.run(_serve(simulator))


async def _serve(simulator: AnySimulator) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with simulator:
        sys.stdout.write(f"listening {simulator.url}\n")
        sys.stdout.flush()
        await stopping.wait()
