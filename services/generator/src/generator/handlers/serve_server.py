"""One lease's worth of work: adopt, claim, run, until the lease is lost or the process stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chassis import logs
from chassis.errors import TransientError
from chassis.groups import TaskGroup
from generator.domain.errors import NotHolderError
from generator.handlers.adopt_jobs import adopt_jobs, stop_strays
from generator.handlers.slot import Slot
from generator.handlers.tools import Tools
from generator.ports import Jobs

log = logs.get("generator.serve")
RETRY_SECONDS = 0.5
Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]
MakeTools = Callable[[Spawn], Tools]


class SessionOverError(Exception):
    """Ends every task of a session at once."""


class Session:
    """The holder of a server's lease at work; when it is over, records tell what is left."""

    def __init__(self, make_tools: MakeTools, jobs: Jobs, lease_lost: asyncio.Event) -> None:
        self._make_tools = make_tools
        self._jobs = jobs
        self._lease_lost = lease_lost
        self._stop_asked = asyncio.Event()
        self._over = asyncio.Event()

    async def serve(self, run_socket: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with TaskGroup() as tasks:
                tools = self._make_tools(_spawner(tasks))
                slot = Slot(tools, self._jobs)
                tools.health.on_change = slot.changed
                tasks.create_task(self._end_when_lost())
                tasks.create_task(self._end_when_stopped(slot))
                tasks.create_task(run_socket())
                tasks.create_task(self._work(tools, slot))
        except* SessionOverError:
            log.info("session_over", lease_lost=self._lease_lost.is_set())
        except* NotHolderError:
            log.warning("session_over", lease_lost=True)
        finally:
            await self._jobs.release()
            self._over.set()

    def ask_stop(self) -> None:
        self._stop_asked.set()

    async def stop(self, grace_seconds: float) -> None:
        """Hand back what has not started; let the running job end, or leave it to the next pod."""
        self.ask_stop()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._over.wait()
        except TimeoutError:
            log.info("running_job_left")
            self._lease_lost.set()
            await self._over.wait()

    async def _end_when_lost(self) -> None:
        await self._lease_lost.wait()
        raise SessionOverError

    async def _end_when_stopped(self, slot: Slot) -> None:
        await self._stop_asked.wait()
        slot.stop()
        await slot.until_empty()
        raise SessionOverError

    async def _work(self, tools: Tools, slot: Slot) -> None:
        while True:
            try:
                slot.adopt(await adopt_jobs(tools))
                break
            except TransientError as error:
                log.warning("adoption_waits", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        tools.spawn(
            tools.health.watch(
                tools.server, tools.catalogue, lambda: stop_strays(tools, slot.prompts())
            )
        )
        await slot.claim_jobs()


def _spawner(tasks: TaskGroup) -> Spawn:
    def spawn(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        try:
            return tasks.create_task(coroutine)
        except RuntimeError as error:  # the group is ending, and so is whoever asked
            coroutine.close()
            raise SessionOverError from error

    return spawn
