"""Child processes that never outlive us: start, wait until ready, stop, kill."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from devstack.accounts import Account
from devstack.errors import ChildDiedError, NotReadyError

READY_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.02
LAST_WORDS_SECONDS = 10.0

_SHIM = Path(__file__).with_name("die_with_parent.py")


class ChildProcess:
    """One command, started again and again under one name.

    The kernel sends `death_signal` to the child when the thread that started it ends, so `start`
    must be called on the main thread. `output` is a file the child appends to, or a callable that
    is given every line (on its own thread), or None for the caller's own stdout and stderr.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        account: Account | None = None,
        output: Path | Callable[[str], None] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        niceness: int = 0,
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self._environment = environment
        self._folder = folder
        self._account = account
        self._output = output
        self._death_signal = death_signal
        self._niceness = niceness
        self._popen: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        return None if self._popen is None else self._poll(self._popen)

    @property
    def running(self) -> bool:
        return self._popen is not None and self.returncode is None

    def start(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The death signal follows the starting thread: a pool thread would kill the child.
            raise RuntimeError(f"{self.name}: children are started on the main thread only")
        assert not self.running, f"{self.name} is already running as {self.pid}"
        uid, gid = (self._account.uid, self._account.gid) if self._account else (-1, -1)
        shim = [sys.executable, "-I", "-S", str(_SHIM), str(int(self._death_signal))]
        target = self._open_output()
        try:
            self._popen = subprocess.Popen(
                [*shim, str(os.getpid()), str(uid), str(gid), *self.command],
                env=None if self._environment is None else dict(self._environment),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=None if target is None else subprocess.STDOUT,
                # Ctrl-C in the terminal reaches the supervisor alone, which stops in its order.
                process_group=0,
            )
        finally:
            if target is not None and not isinstance(target, int):
                target.close()
        if self._niceness:
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self._popen.pid, self._niceness)
        if callable(self._output):
            assert self._popen.stdout is not None
            self._pump = threading.Thread(
                target=_pump,
                args=(self._popen.stdout, self._output),
                name=f"log-{self.name}",
                daemon=True,
            )
            self._pump.start()

    def _poll(self, popen: subprocess.Popen[bytes]) -> int | None:
        if popen.returncode is None and popen.poll() is not None:
            # Workers a child started itself know nothing of our death signal. At once and never
            # again: once the last of them is gone, its number may become somebody else's.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(popen.pid, signal.SIGKILL)
        return popen.returncode

    def _open_output(self) -> IO[bytes] | int | None:
        if isinstance(self._output, Path):
            return self._output.open("ab")
        return subprocess.PIPE if self._output is not None else None

    async def wait_ready(
        self,
        check: Callable[[], Awaitable[bool]],
        timeout_seconds: float = READY_TIMEOUT_SECONDS,
    ) -> None:
        """Return once `check` says yes; raise when the child ends or the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while not await check():
            if not self.running:
                raise ChildDiedError(f"{self.name} ended with {self.returncode} while starting")
            if asyncio.get_running_loop().time() > deadline:
                raise NotReadyError(f"{self.name} was not ready after {timeout_seconds:g} s")
            await asyncio.sleep(POLL_SECONDS)

    async def wait(self) -> int:
        """Wait for the end without polling; then nothing of its process group is left."""
        assert self._popen is not None, f"{self.name} was never started"
        while (returncode := self._poll(self._popen)) is None:
            await _wait_for_exit(self._popen.pid)
        if self._pump is not None:
            # Its last words are read before anybody hears of its end.
            await asyncio.to_thread(self._pump.join, LAST_WORDS_SECONDS)
        return returncode

    async def run(self) -> None:
        """Start, wait for the end, and raise when it failed."""
        self.start()
        returncode = await self.wait()
        if returncode != 0:
            raise ChildDiedError(f"{self.name} ended with {returncode}")

    async def terminate(
        self, grace_seconds: float = 10.0, stop_signal: signal.Signals = signal.SIGTERM
    ) -> None:
        """Ask it to stop, and kill it when it has not done so within the grace period."""
        if not self.running:
            return
        self.send(stop_signal)
        try:
            await asyncio.wait_for(self.wait(), grace_seconds)
        except TimeoutError:
            await self.kill9()

    async def kill9(self) -> None:
        self.send(signal.SIGKILL)
        if self._popen is not None:
            await self.wait()

    def send(self, number: signal.Signals) -> None:
        if self._popen is not None and self.running:
            os.kill(self._popen.pid, number)  # nobody else reaps it: the number is its own


def _pump(source: IO[bytes], write_line: Callable[[str], None]) -> None:
    with source:
        for line in source:
            write_line(line.decode(errors="replace").rstrip("\r\n"))


async def _wait_for_exit(pid: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def finish() -> None:
        if not ended.done():
            ended.set_result(None)

    # A pidfd becomes readable when the process ends: waiting for a dozen children costs nothing.
    descriptor = os.pidfd_open(pid)
    try:
        loop.add_reader(descriptor, finish)
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def processes_inside(folder: Path) -> list[int]:
    """The processes whose working directory is this folder (a Postgres and all its children)."""
    wanted = str(folder.resolve())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Ended meanwhile, or another user's: not ours in either case.
            with suppress(OSError):
                if str((entry / "cwd").readlink()) == wanted:
                    found.append(int(entry.name))
    return found
