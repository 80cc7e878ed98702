"""A stop that ends in time: its steps share one grace, and the process never outlives it."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from chassis import logs

log = logs.get("chassis.stopping")
HOOKS, TASKS, FLUSH, CLOSE = 2.0, 1.75, 1.25, 0.75
"""Seconds before the end of the grace by which each part of a stop is over. The last one is the
interpreter's, which waits for threads."""
EXIT_SECONDS_MIN = 0.7
EXIT_SECONDS_UNASKED = 5.0
"""What the interpreter may take to end when nothing was begun that has a grace."""
ROOMY_SECONDS = 10.0
"""In a shorter grace the parts shrink with it."""


_exit_seconds = EXIT_SECONDS_UNASKED


class Grace:
    """The time a stop may take, counted from the moment it began."""

    def __init__(self, grace: timedelta) -> None:
        self._total = grace.total_seconds()
        self._scale = min(1.0, self._total / ROOMY_SECONDS)
        self._began = asyncio.get_running_loop().time()

    def exit_seconds(self) -> float:
        """How long the interpreter may take to end: all that the steps left over.

        Not less: a busy machine makes many seconds of it, and cut off, a clean stop ends with 1.
        """
        return max(self.left(0.0).total_seconds(), EXIT_SECONDS_MIN)

    def left(self, part: float) -> timedelta:
        """Return how long it is until that part of the stop must be over; never below nothing."""
        until = self._began + self._total - part * self._scale
        return timedelta(seconds=max(0.0, until - asyncio.get_running_loop().time()))

    async def step(self, work: Awaitable[object], *, part: float, name: str) -> None:
        """Wait for one step, at most until its part of the stop must be over.

        A step that breaks or hangs is logged and left behind: the next ones must run as well. It
        is not awaited after its cancel, which it may swallow (see Background.stop).
        """
        task = asyncio.ensure_future(work)  # noqa: TID251 - an own task, so that it can be left
        done, _ = await asyncio.wait({task}, timeout=self.left(part).total_seconds())
        if not done:
            log.error("stop_step_left_behind", step=name)
            task.cancel()
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error("stop_step_failed", step=name, exc_info=error)


async def in_thread_to_leave(work: Callable[[], None]) -> None:
    """Like asyncio.to_thread, but at the exit nobody waits for the thread."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        try:
            work()
        finally:
            with suppress(RuntimeError):  # left behind: the loop is closed
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="to-leave", daemon=True).start()
    await done.wait()


def last_resort(seconds: float) -> None:
    """End the process in so many seconds, whatever it is at then, and show where that was.

    It works from a thread of its own, also while the event loop or a thread hangs. Another call
    replaces the one before.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)


def no_last_resort(*, then: float) -> None:
    """Nothing hangs any more; at the exit the interpreter gets `then` seconds to end."""
    global _exit_seconds  # noqa: PLW0603 - a process ends once
    _exit_seconds = then
    faulthandler.cancel_dump_traceback_later()


def last_resort_at_exit() -> None:
    """From here on the process only ends."""
    # To look for garbage in all that was imported takes most of an interpreter's end.
    gc.freeze()
    last_resort(_exit_seconds)
