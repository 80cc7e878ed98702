"""Runs command lines again and again without paying for their imports every time.

`python -m devstack.warm_commands SOCKET MODULE` imports MODULE, then forks at every connection to
SOCKET a process that is what the console script of that module would have become by then. Tests of
an operator's command line start it some hundred times; half a second of processor each is imports.
"""

import asyncio
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from devstack.testing import scratch_folder, wait_until

START_SECONDS = 30.0
STOP_SECONDS = 10.0
END = b"\0"
"""Between what a command printed and its exit code."""


class WarmCommands:
    """One console script, ready to run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run it with this environment and no other; return its exit code and what it printed."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            asked = {"arguments": arguments, "environment": dict(environment or os.environ)}
            writer.write(json.dumps(asked).encode() + b"\n")
            output, end, code = (await reader.read()).rpartition(END)
        finally:
            writer.close()
        assert end, f"the command ended without a word: {code!r}"
        return int(code), output.decode()


@asynccontextmanager
async def warm_commands(module: str) -> AsyncIterator[WarmCommands]:
    """Have `module`, which has a `main`, imported. On leaving, nothing of it runs any more."""
    with scratch_folder() as folder:
        path = folder / "s"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devstack.warm_commands", str(path), module),
            stdin=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        try:
            await wait_until(path.exists, f"{module}, imported", START_SECONDS)
            yield WarmCommands(path)
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), STOP_SECONDS)


def serve(path: str, module: str) -> None:
    """Fork until standard input ends, which it does when whoever wants commands is gone."""
    imported = importlib.import_module(module)
    gc.freeze()  # or the first collection in a child would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    with socket.socket(socket.AF_UNIX) as listener:
        # Only once it listens may anybody see it.
        listener.bind(f"{path}.new")
        listener.listen()
        Path(f"{path}.new").rename(path)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                _become(imported.main, connection)
            connection.close()


def _become(main: object, connection: socket.socket) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with connection.makefile("r") as asked:
            given = json.loads(asked.readline())
        for number in (1, 2):
            os.dup2(connection.fileno(), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(given["environment"])
        sys.argv = given["arguments"]
        random.seed()
        assert callable(main)
        main()
        code = 0
    except SystemExit as end:
        code = _code_of(end)
    except BaseException:
        traceback.print_exc()  # nobody else would: the process ends right here
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(END + str(code).encode())
        os._exit(code)


def _code_of(end: SystemExit) -> int:
    """As the interpreter has it: None is a success, a text is printed and a failure."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
