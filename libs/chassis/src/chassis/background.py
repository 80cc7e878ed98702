"""The one place that creates tasks: it keeps them, logs their failure and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from chassis import logs

log = logs.get("chassis.background")
BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 5.0
CANCEL_SHARE = 0.2
"""The part of a stop's grace in which what did not end by itself is cancelled."""
CANCEL_EVERY_SECONDS = 0.2


async def contained(work: Awaitable[Any], *, name: str) -> bool:
    """Await `work` at a boundary where one item's bug must not end the others.

    A failure is logged with its traceback and False is returned; a cancel passes through.
    """
    try:
        await work
    except Exception:
        log.exception("work_broke", work=name)
        return False
    return True


class Background:
    """Tasks of one process. `stopping` is set first; tasks that watch it end by themselves.

    A task that fails is a bug: the failure is logged, `failure` keeps it, and the process stops.
    """

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def supervise(
        self, make: Callable[[], Coroutine[Any, Any, Any]], *, name: str
    ) -> asyncio.Task[Any]:
        """Run again, with capped backoff, whatever ends by an error before the process stops."""
        return self.spawn(self._again(make, name), name=name)

    async def _again(self, make: Callable[[], Coroutine[Any, Any, Any]], name: str) -> None:
        wait = BACKOFF_FIRST_SECONDS
        while not self.stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await make()
                return
            except Exception:
                log.exception("task_restarts", task=name, wait_seconds=wait)
            if asyncio.get_running_loop().time() - began > BACKOFF_MAX_SECONDS:
                wait = BACKOFF_FIRST_SECONDS
            await self.pause(wait)
            wait = min(wait * 2, BACKOFF_MAX_SECONDS)

    async def pause(self, seconds: float) -> bool:
        """Wait, but not past the stop. True: the process is stopping."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True

    async def every(
        self, period: timedelta, work: Callable[[], Awaitable[Any]], *, name: str
    ) -> None:
        """Repeat `work` until the process stops; a failure is logged and does not end it."""
        while not self.stopping.is_set():
            try:
                await work()
            except Exception:
                log.exception("periodic_work_failed", task=name)
            if await self.pause(period.total_seconds()):
                return

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)
            self.failure = self.failure or error
            self.stopping.set()

    async def stop(self, grace: timedelta) -> None:
        """Ask every task to end, cancel what is left near the end of `grace`, and return by then.

        Cancelling is repeated: asyncio.wait_for on 3.11 can swallow a cancel (nats-py uses it).
        """
        self.stopping.set()
        loop = asyncio.get_running_loop()
        current = asyncio.current_task()
        until = loop.time() + grace.total_seconds()
        cancel_at = until - grace.total_seconds() * CANCEL_SHARE
        while pending := {task for task in self._tasks if task is not current}:
            now = loop.time()
            if now >= until:
                for task in pending:
                    task.cancel()
                log.error("tasks_left_behind", tasks=[task.get_name() for task in pending])
                return
            if now >= cancel_at:
                for task in pending:
                    task.cancel()
            wait = min(CANCEL_EVERY_SECONDS, until - now) if now >= cancel_at else cancel_at - now
            await asyncio.wait(pending, timeout=wait)
