"""One incarnation of the simulated ComfyUI process: everything that is lost when it dies."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulators.comfyui.faults import FaultBook
from simulators.comfyui.modes import Mode
from simulators.comfyui.prompts import History, PromptQueue
from simulators.comfyui.record import PromptLog
from simulators.comfyui.sockets import Sockets
from simulators.comfyui.storage import Storage

MAX_UPLOAD_BYTES = 100 * 1024 * 1024


@dataclass
class Settings:
    """What outlives a restart of the process: how the server is told to behave."""

    mode: Mode
    data_dir: Path
    time_scale: float = 0.0
    job_seconds: float = 3.0
    startup_delay_seconds: float = 0.0
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    orphan_bug: bool = True
    check_prompt_ids: bool = True
    embed_metadata: bool = True


@dataclass
class Running:
    """The prompt in execution, as interrupts and reconnecting sockets need to see it."""

    prompt_id: str | None = None
    client_id: str | None = None
    node_id: str | None = None


@dataclass(eq=False)
class Process:
    settings: Settings
    storage: Storage
    faults: FaultBook
    log: PromptLog
    incarnation: int
    request_death: Callable[[float], None]
    queue: PromptQueue = field(default_factory=PromptQueue)
    history: History = field(default_factory=History)
    running: Running = field(default_factory=Running)
    interrupted: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    unfrozen: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    counter: int = 0
    cuda_broken: bool = False
    worker_alive: bool = True
    free_calls: list[dict[str, Any]] = field(default_factory=list)
    cache: dict[str, Any] = field(default_factory=dict)
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="comfyui-node")
    )

    def __post_init__(self) -> None:
        self.unfrozen.set()
        self.sockets = Sockets(orphan_bug=self.settings.orphan_bug, unfrozen=self.unfrozen)

    @property
    def mode(self) -> Mode:
        return self.settings.mode

    def broadcast_status(self) -> None:
        info = {"exec_info": {"queue_remaining": self.queue.remaining()}}
        self.sockets.send("status", {"status": info}, None)

    def freeze(self, seconds: float) -> None:
        """Stop answering altogether, like a process under SIGSTOP."""
        self.unfrozen.clear()
        asyncio.get_running_loop().call_later(seconds, self.unfrozen.set)

    async def pause(self, seconds: float) -> None:
        """Time nobody works in; it ends early only with the process."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), seconds)

    def die(self) -> None:
        self.killed.set()
        self.gone.set()
        self.unfrozen.set()
        for client in self.sockets.clients():
            client.abort()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.log.process_died()
