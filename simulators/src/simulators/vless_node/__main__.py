"""Runs a core of gRPC alone: `python -m simulators.vless_node --kind xray --port 0`."""

import argparse
import asyncio
import signal

from simulators.vless_node.load_core import V2RAY, XRAY, LoadCore


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulators.vless_node", description=__doc__)
    parser.add_argument("--kind", choices=(XRAY, V2RAY), default=XRAY)
    parser.add_argument("--tag", default="vless")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace) -> None:
    core = LoadCore(options.kind, tag=options.tag, port=options.port)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await core.start()
    print(f"listening {core.address}", flush=True)  # noqa: T201 - the line who started us waits for
    await stopping.wait()
    await core.stop()


def main() -> None:
    asyncio.run(run(parse()))


if __name__ == "__main__":
    main()
