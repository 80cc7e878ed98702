"""One run of a core: started by us, or found running from an earlier life of the agent."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from chassis import logs
from vpn.adapters.core.client import V2RAY, XRAY

log = logs.get("vpn.agent.core")
VERSION_TIMEOUT_SECONDS = 10.0
STOP_GRACE_SECONDS = 3.0
OUTPUT_BYTES_MAX = 4 * 1024 * 1024
OUTPUT_TAIL_BYTES = 600
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TICKS_FIELD = 19
"""Of what follows the command's name in /proc/<pid>/stat (proc(5): field 22)."""


class CoreStartError(Exception):
    """The core cannot be started; the sentence says why."""


class Binary:
    """A core's program, and what it says of itself."""

    def __init__(self, path: str, kind: str, version: str) -> None:
        self.path = path
        self.kind = kind
        self.version = version

    @classmethod
    def find(cls, name: str) -> Self:
        """Find the program by path or name; without either, xray is preferred to v2ray."""
        path = next(filter(None, map(shutil.which, [name] if name else [XRAY, V2RAY])), None)
        if path is None:
            raise CoreStartError(f"no core: {name or 'neither xray nor v2ray'} is not to be found")
        try:
            said = subprocess.run(  # noqa: S603 - the operator's own program
                [path, "-version"],
                capture_output=True,
                text=True,
                timeout=VERSION_TIMEOUT_SECONDS,
                check=False,
            ).stdout.split()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CoreStartError(f"{path} -version: {error}") from error
        if len(said) < 2 or said[0].lower() not in (XRAY, V2RAY):  # noqa: PLR2004 - name and number
            raise CoreStartError(f"{path} is neither xray nor v2ray")
        return cls(path, said[0].lower(), said[1])


class CoreProcess:
    """A process that outlives us if we let it. `exited` is set by the kernel's word, not by polls.

    Not asyncio's subprocess: its transport kills the child when the event loop ends.
    """

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self.pid = pid
        self.adopted = child is None
        self.life = _life(pid)
        self.exited = asyncio.Event()
        self.on_exit: Callable[[], None] | None = None
        self._child = child
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_exit)

    @classmethod
    def start(cls, binary: Binary, config: Path, output: Path) -> Self:
        # A file, not a pipe: a core that writes into a pipe nobody reads any more would die.
        with output.open("ab") as sink:
            if sink.tell() > OUTPUT_BYTES_MAX:
                sink.truncate(0)
            child = subprocess.Popen(  # noqa: S603 - the operator's own program
                [binary.path, "-config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(child.pid, child)

    def _on_exit(self) -> None:
        self._close()
        if self._child is not None:
            self._child.wait()
        self.exited.set()
        if self.on_exit is not None:
            self.on_exit()

    def age_seconds(self) -> float:
        """Return how long it has run."""
        ticks = int(self.life.rpartition(":")[2])
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return since_boot - ticks / os.sysconf("SC_CLK_TCK")

    def forget(self) -> None:
        """Watch it no longer; it runs on."""
        self._close()
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # or the interpreter warns of a child left behind

    def _close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    async def stop(self) -> None:
        """Ask it to end, and kill it when it has not within the grace period."""
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_GRACE_SECONDS):
                await self.exited.wait()
        except TimeoutError:
            self.kill()
            await self.exited.wait()

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        # Through the descriptor: a number may by now belong to somebody else.
        if self._descriptor >= 0:
            signal.pidfd_send_signal(self._descriptor, number)


def running(config: Path) -> Iterator[int]:
    """Yield the processes that were started with this configuration file."""
    wanted = str(config).encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            continue
        if not dead and words[1:3] == [b"-config", wanted]:
            yield int(folder.name)


def last_words(output: Path) -> str:
    """Return the end of what the core printed, for a log line."""
    try:
        data = output.read_bytes()[-OUTPUT_TAIL_BYTES:]
    except OSError:
        return ""
    return " | ".join(data.decode(errors="replace").splitlines()[-3:])


def _life(pid: int) -> str:
    """Return what no other process ever has: the machine's boot, the id, the moment of start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    boot = _BOOT_ID.read_text().strip()
    return f"{boot}:{pid}:{fields[_START_TICKS_FIELD]}"
