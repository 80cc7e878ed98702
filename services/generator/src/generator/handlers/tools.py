"""What every handler of a session works with, and how patient it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from chassis.clock import Clock
from contracts.catalogue import Catalogue
from generator.domain.claims import Limits
from generator.domain.progress import Durations
from generator.ports import Claims, ComfyServer, Events, Media, Settlement

if TYPE_CHECKING:
    from generator.handlers.keep_server import ServerHealth


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Named times, in seconds. ack_wait of a job is 3 s: `in_progress` goes out every third."""

    in_progress_every: float = 1.0
    renew_every: float = 5.0
    look_every: float = 5.0
    look_every_without_socket: float = 1.0
    late_window: float = 2.0
    ahead_patience: float = 5.0
    interrupt_patience: float = 5.0
    unreachable_patience: float = 10.0
    zombie_patience: float = 5.0
    history_patience: float = 2.0
    download_patience: float = 30.0
    submit_retries: int = 2
    submit_retry_after: float = 1.0
    progress_every: float = 1.0
    probe_every: float = 5.0
    sick_probe_every: float = 1.0
    quarantine: float = 60.0
    pool_out: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Tools:
    """One session's ports, limits and shared knowledge."""

    server: ComfyServer
    claims: Claims
    settlement: Settlement
    media: Media
    events: Events
    clock: Clock
    catalogue: Catalogue
    limits: Limits
    pace: Pace
    health: ServerHealth
    durations: Durations
    spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
    new_prompt_id: Callable[[], str]
    fresh_process: bool = True
    """Whether what is adopted was left by a process that ended, not by this one's last lease."""


def loop_time() -> float:
    return asyncio.get_running_loop().time()
