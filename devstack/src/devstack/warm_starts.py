"""Starts a Python program again and again without paying for its imports every time.

`python -m devstack.warm_starts PROGRAM MODULE` imports MODULE, then forks at every line it reads
(the child's environment as JSON) a child that is what `python -m PROGRAM` would have become by
then; it writes the child's pid. A test that kills a process some hundred times needs it.
"""

import asyncio
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 10.0


class WarmStarts:
    """The process that forks; its children die with it, and it with us."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, environment: Mapping[str, str]) -> int:
        """Start the program with this environment and no other; return its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(dict(environment)).encode() + b"\n")
        return int(await self._process.stdout.readline())


@asynccontextmanager
async def warm_starts(program: str, module: str) -> AsyncIterator[WarmStarts]:
    """Have `program` ready to start, `module` imported. On leaving, what was started is killed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devstack.warm_starts", program, module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield WarmStarts(process)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), STOP_SECONDS)


def serve(program: str, module: str) -> None:
    importlib.import_module(module)
    gc.freeze()  # or the first collection in a child would copy every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    mine = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(program, json.loads(line), mine)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(program: str, environment: Mapping[str, str], parent: int) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [program]
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()  # nobody else would: the process ends right here
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
