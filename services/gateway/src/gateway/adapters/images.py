"""Checks and re-encodes pictures in a process of its own: started when needed, ended when idle."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from pathlib import Path

import msgspec

from chassis import logs
from chassis.background import Background
from gateway.ports import MEDIA_DAMAGED, MEDIA_TOO_MANY_PIXELS

log = logs.get("gateway.images")
WORKER = "gateway.adapters.image_worker"
ANSWER_BYTES_MAX = 64 * 1024


class NotTakenError(Exception):
    """The picture is refused; `code` is one of the MEDIA_… codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Written(msgspec.Struct, frozen=True):
    """A file the worker wrote."""

    sha256: str
    size_bytes: int
    mime: str
    width: int
    height: int


class Checked(msgspec.Struct, frozen=True):
    image: Written | None = None
    thumbnail: Written | None = None
    error: str = ""


class Images:
    """One worker at a time: a picture takes it up to some hundred MiB, so they queue."""

    def __init__(
        self,
        background: Background,
        *,
        pixels_max: int,
        side_max: int,
        timeout: timedelta,
        idle: timedelta,
        memory_mib: int,
    ) -> None:
        self._background = background
        self._limits = {"pixels_max": pixels_max, "side_max": side_max}
        self._timeout = timeout.total_seconds()
        self._idle = idle.total_seconds()
        self._memory_mib = memory_mib
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def check(self, source: Path, target: Path, thumbnail: Path) -> tuple[Written, Written]:
        """Write a clean copy and a thumbnail. Raises NotTakenError; a dead worker is a refusal."""
        request = {
            "source": str(source),
            "target": str(target),
            "thumbnail": str(thumbnail),
            **self._limits,
        }
        async with self._turn:
            checked = await self._ask(msgspec.json.encode(request) + b"\n")
        if checked.error or checked.image is None or checked.thumbnail is None:
            raise NotTakenError(checked.error or MEDIA_DAMAGED)
        return checked.image, checked.thumbnail

    async def _ask(self, line: bytes) -> Checked:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._timeout):
                process.stdin.write(line)
                await process.stdin.drain()
                answer = await process.stdout.readline()
            checked = msgspec.json.decode(answer, type=Checked)
        except TimeoutError:
            await self.stop()
            log.warning("image_took_too_long")
            return Checked(error=MEDIA_TOO_MANY_PIXELS)
        except (OSError, ValueError, msgspec.DecodeError):
            # It fell over its memory limit or a decoder crashed: nothing more can be said.
            await self.stop()
            log.warning("image_worker_died", status=process.returncode)
            return Checked(error=MEDIA_DAMAGED)
        except asyncio.CancelledError:
            await self.stop()  # its answer would be taken for the next picture's
            raise
        self._end_when_idle()
        return checked

    async def _running(self) -> Process:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                WORKER,
                str(self._memory_mib),
                stdin=PIPE,
                stdout=PIPE,
                limit=ANSWER_BYTES_MAX,
            )
        return self._process

    def _end_when_idle(self) -> None:
        def end() -> None:
            if not self._turn.locked():
                self._background.spawn(self.stop(), name="image-worker-idle")

        self._idle_timer = asyncio.get_running_loop().call_later(self._idle, end)

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
