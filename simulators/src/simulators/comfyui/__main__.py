"""Runs the simulator as a program: `python -m simulators.comfyui --port 0 --data-dir DIR`."""

import argparse
import asyncio
import signal
from pathlib import Path

from simulators.comfyui.modes import MODES
from simulators.comfyui.server import HOST, ComfyUISimulator


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulators.comfyui", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--host", default=HOST, help="0.0.0.0 only inside a pod")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--mode", choices=sorted(MODES), default="0.25")
    parser.add_argument("--time-scale", type=float, default=1.0, help="0 waits for nothing")
    parser.add_argument("--job-seconds", type=float, default=3.0, help="simulated time of one job")
    parser.add_argument("--startup-delay", type=float, default=0.0, help="seconds, at every start")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> None:
    simulator = ComfyUISimulator(
        mode=options.mode,
        data_dir=options.data_dir,
        time_scale=options.time_scale,
        port=options.port,
        host=options.host,
        job_seconds=options.job_seconds,
        startup_delay_seconds=options.startup_delay,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await simulator.start()
    await simulator.wait_ready()
    print(f"listening {simulator.url}", flush=True)  # noqa: T201 - the line who started us waits for
    await stopping.wait()
    await simulator.stop()


def main() -> None:
    asyncio.run(run(parse()))


if __name__ == "__main__":
    main()
