"""The command line of the Telegram simulator."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from simulators.telegram.server import DEFAULT_TOKEN, HOST, TelegramSimulator


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simulator-telegram",
        description="A Bot API server with a chat page and a control API.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--host", default=HOST, help="0.0.0.0 only inside a pod")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="the bot's token, <id>:<secret>")
    parser.add_argument("--username", default="vitrine_bot")
    parser.add_argument("--first-name", default="Vitrine")
    parser.add_argument("--state", type=Path, help="keep chats, files and ids in this file")
    parser.add_argument(
        "--local", action="store_true", help="behave as a local Bot API server: no 20 MB limit"
    )
    parser.add_argument("--latency-ms", type=float, default=0, help="delay of every answer")
    parser.add_argument("--seed", type=int, default=1, help="of the random faults")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    simulator = TelegramSimulator(
        port=options.port,
        host=options.host,
        token=options.token,
        state=options.state,
        username=options.username,
        first_name=options.first_name,
        local=options.local,
        latency_seconds=options.latency_ms / 1_000,
        seed=options.seed,
    )
    async with simulator:
        sys.stdout.write(f"listening {simulator.url}\n")
        sys.stdout.flush()
        await stopping.wait()


def main() -> None:
    options = arguments()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
