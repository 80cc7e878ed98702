"""The simulator as a whole: one port, and behind it one process after another."""

import asyncio
import socket
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from simulators.comfyui.app import build_app
from simulators.comfyui.faults import FaultBook
from simulators.comfyui.modes import MODES
from simulators.comfyui.process import MAX_UPLOAD_BYTES, Process, Settings
from simulators.comfyui.record import PromptLog, PromptRecord
from simulators.comfyui.storage import Storage
from simulators.comfyui.worker import Worker

HOST = "127.0.0.1"
BACKLOG = 1024


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


class ComfyUISimulator:
    """`async with ComfyUISimulator(mode="0.25") as comfyui:` then talk to `comfyui.url`.

    Entering waits until the server answers, except with a start-up delay: then the port is
    known at once and refuses connections until the delay is over (`wait_ready`).
    """

    def __init__(
        self,
        *,
        mode: str = "0.25",
        data_dir: Path | str | None = None,
        time_scale: float = 0.0,
        port: int = 0,
        host: str = HOST,
        startup_delay_seconds: float = 0.0,
        job_seconds: float = 3.0,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
    ) -> None:
        self._own_dir = tempfile.TemporaryDirectory(prefix="comfyui-") if data_dir is None else None
        self.settings = Settings(
            mode=MODES[mode],
            data_dir=Path(self._own_dir.name if self._own_dir else str(data_dir)),
            time_scale=time_scale,
            job_seconds=job_seconds,
            startup_delay_seconds=startup_delay_seconds,
            max_upload_bytes=max_upload_bytes,
        )
        self.storage = Storage(self.settings.data_dir)
        self.faults = FaultBook()
        self.log = PromptLog()
        # Bound and never listening: while the process is down, connections are refused and yet
        # nobody else gets the port.
        self._host = host
        self._reservation = _bound(host, port)
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._incarnations = 0
        self._process: Process | None = None
        self._runner: web.AppRunner | None = None
        self._process_tasks: list[asyncio.Task[None]] = []
        self._own_tasks: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        if self.settings.startup_delay_seconds == 0:
            await self.wait_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def process(self) -> Process:
        assert self._process is not None, "the simulated process is not running"
        return self._process

    def prompts(self) -> list[PromptRecord]:
        """Every prompt ever accepted, oldest first; kept across restarts."""
        return self.log.records()

    def inject(self, kind: str, **order: Any) -> None:
        """Arm a fault, as POST /control/faults does."""
        self.faults.arm({"kind": kind, **order})

    async def start(self) -> None:
        self._spawn(self._come_up())

    async def wait_ready(self) -> None:
        await self._ready.wait()

    async def stop(self) -> None:
        for task in list(self._own_tasks):
            task.cancel()
        await asyncio.gather(*self._own_tasks, return_exceptions=True)
        await self._go_down()
        self._reservation.close()
        if self._own_dir is not None:
            self._own_dir.cleanup()

    async def kill(self) -> None:
        """The process is gone: sockets cut, connections refused, until `restart`."""
        async with self._changing:
            await self._go_down()

    async def restart(self, down_seconds: float = 0.0) -> None:
        """Queue and history lost, input and output kept; answers again when this returns."""
        async with self._changing:
            await self._go_down()
            await asyncio.sleep(down_seconds)
            await self._come_up()

    def request_death(self, down_seconds: float) -> None:
        """Die now and come back later, from inside a request or a node of the process itself."""
        self._ready.clear()
        self._spawn(self.restart(down_seconds))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)

    async def _come_up(self) -> None:
        ordered = self.faults.take("startup_delay")
        delay = ordered.seconds if ordered else self.settings.startup_delay_seconds
        await asyncio.sleep(delay)
        self._incarnations += 1
        self.storage.wipe_temp()
        process = Process(
            settings=self.settings,
            storage=self.storage,
            faults=self.faults,
            log=self.log,
            incarnation=self._incarnations,
            request_death=self.request_death,
        )
        self._process = process
        loop = asyncio.get_running_loop()
        self._process_tasks = [
            loop.create_task(process.sockets.publish()),
            loop.create_task(Worker(process).run()),
        ]
        self._runner = web.AppRunner(build_app(process, self), access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.SockSite(self._runner, _bound(self._host, self.port), backlog=BACKLOG).start()
        self._ready.set()

    async def _go_down(self) -> None:
        self._ready.clear()
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        if runner.server is not None:
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        self.process.die()
        for task in self._process_tasks:
            task.cancel()
        await asyncio.gather(*self._process_tasks, return_exceptions=True)
        # A node cannot be stopped mid-picture; a dead process must not go on writing files.
        await asyncio.to_thread(self.process.threads.shutdown)
        await runner.cleanup()
