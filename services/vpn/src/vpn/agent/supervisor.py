"""Keeps a core of our own alive: adopts the one that runs, starts one when none does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from chassis import logs
from chassis.background import Background
from chassis.clock import Clock
from vpn.adapters.core.client import CoreClient, CoreUser
from vpn.adapters.core.errors import CoreRefusedError, CoreUnreachableError
from vpn.agent import core_process, journal
from vpn.agent.core_config import Template, free_loopback_ports
from vpn.agent.core_process import Binary, CoreProcess, CoreStartError
from vpn.agent.core_targets import LOOPBACK
from vpn.agent.keeper import Keeper
from vpn.agent.link import Link, access

log = logs.get("vpn.agent.supervisor")
CONFIG_FILE = "core.json"
NOTE_FILE = "core.note"
OUTPUT_FILE = "core.log"
BACKOFF_FIRST_SECONDS = 0.05
BACKOFF_MAX_SECONDS = 1.5
"""Together with a start of well under half a second: two seconds without a core at most."""
CALM_SECONDS = 10.0
PROBE_EVERY_SECONDS = 0.02


class Note(msgspec.Struct):
    """What must be known to adopt the core that this was written for."""

    api_port: int
    fingerprint: str


class Supervisor:
    """The one who starts and stops the core."""

    def __init__(
        self,
        *,
        folder: Path,
        binary: str,
        template: Callable[[Binary], Template],
        tag: str,
        keeper: Keeper,
        clock: Clock,
        start_timeout: timedelta,
        silence_max: timedelta,
        check_every: timedelta,
        may_restart_empty: bool = True,
    ) -> None:
        self._config = folder / CONFIG_FILE
        self._note = folder / NOTE_FILE
        self._output = folder / OUTPUT_FILE
        self._binary_name = binary
        self._make_template = template
        self._tag = tag
        self._keeper = keeper
        self._clock = clock
        self._start_timeout = start_timeout.total_seconds()
        self._silence_max = silence_max.total_seconds()
        self._check_every = check_every.total_seconds()
        self._may_restart_empty = may_restart_empty
        self._process: CoreProcess | None = None
        self._planned = False
        self._binary: Binary | None = None
        self._look = asyncio.Event()
        self.begun = asyncio.Event()
        self.restarts = 0
        self.trouble = ""
        """Why there is no core, or why there was none again and again; empty when all is well."""

    async def run(self, background: Background) -> None:
        """Keep a core running until the agent stops."""
        wait = BACKOFF_FIRST_SECONDS
        loop = asyncio.get_running_loop()
        while not background.stopping.is_set():
            began = loop.time()
            try:
                link = await self._adopt_or_start()
            except CoreStartError as error:
                self.begun.set()
                self.trouble = str(error)
                self._binary = None
                log.warning("core_not_started", why=self.trouble, wait_seconds=wait)
            else:
                self._keeper.core_up(link)
                await self._watch(link, background)
                self._keeper.core_down()
                await link.client.close()
                if background.stopping.is_set():
                    return
                if self._planned:
                    self._planned = False
                    continue
                self.restarts += 1
                self.trouble = f"the core ended: {core_process.last_words(self._output)}"
                log.error("core_ended", said=core_process.last_words(self._output))
                if loop.time() - began > CALM_SECONDS:
                    wait = BACKOFF_FIRST_SECONDS
            await background.pause(wait)
            wait = min(wait * 2, BACKOFF_MAX_SECONDS)

    async def stop(self, *, keep_core: bool) -> None:
        """End with the core, or leave it to the next life of the agent."""
        if self._process is None or self._process.exited.is_set():
            return
        if keep_core:
            log.info("core_left_running", pid=self._process.pid)
            self._process.forget()
        else:
            await self._process.stop()

    async def _restart(self) -> None:
        """Start the core anew at once: everybody comes in by its file."""
        assert self._process is not None
        self._planned = True
        self._process.kill()
        await self._process.exited.wait()

    # Until it ends.

    async def _watch(self, link: Link, background: Background) -> None:
        """Return when the core has ended; one that lives but does not answer is killed."""
        process = self._process
        assert process is not None
        loop = asyncio.get_running_loop()
        began = answered_at = loop.time()
        process.on_exit = self._look.set
        while not process.exited.is_set() and not background.stopping.is_set():
            self._look.clear()
            try:
                await link.client.uptime()
                answered_at = loop.time()
                self._keeper.core_answers()
                if answered_at - began > CALM_SECONDS:
                    self.trouble = ""
            except (CoreUnreachableError, CoreRefusedError) as error:
                if loop.time() - answered_at > self._silence_max and not process.exited.is_set():
                    log.warning("core_silent", why=str(error))
                    process.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._check_every):
                    if not process.exited.is_set():
                        await self._look.wait()

    def wake(self) -> None:
        """Look at once whether the agent stops."""
        self._look.set()

    # How it begins.

    async def _adopt_or_start(self) -> Link:
        if self._binary is None:
            self._binary = await asyncio.to_thread(Binary.find, self._binary_name)
        binary = self._binary
        template = self._make_template(binary)
        fingerprint = template.fingerprint(f"{binary.path} {binary.version}")
        if (found := await self._adopt(binary, fingerprint)) is not None:
            return found
        return await self._start(binary, template, fingerprint)

    async def _adopt(self, binary: Binary, fingerprint: str) -> Link | None:
        pids = sorted(core_process.running(self._config), reverse=True)
        note = self._read_note()
        adopted: Link | None = None
        for pid in pids:
            try:
                process = CoreProcess(pid, None)
            except (ProcessLookupError, FileNotFoundError):
                continue
            if adopted is None and note is not None and note.fingerprint == fingerprint:
                adopted = await self._take_over(process, binary, note)
            if adopted is None or adopted.pid != pid:
                log.warning("stray_core_stopped", pid=pid)
                await process.stop()
        return adopted

    def _read_note(self) -> Note | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    async def _take_over(self, process: CoreProcess, binary: Binary, note: Note) -> Link | None:
        client = CoreClient(f"{LOOPBACK}:{note.api_port}", self._tag)
        try:
            await _probe(client, process, self._silence_max)
        except CoreStartError as error:
            log.warning("core_not_adopted", pid=process.pid, why=str(error))
            await client.close()
            return None
        self.begun.set()
        link = self._link(client, process, binary, ())
        keeper = self._keeper
        if (held := await link.listed()) is not None:
            ours = keeper.holding.entries.keys() | keeper.doubt()
            link.view = {email: one for email, one in held.items() if email in ours}
        elif process.life == keeper.confirmed_life:
            link.doubtful = set(keeper.doubt())
            link.view = {one.email: access(one) for one in keeper.wanted()}
        else:
            link.doubtful = {*keeper.holding.entries, *keeper.doubt()}
            link.restart = None
        log.info("core_adopted", pid=process.pid, doubtful=len(link.doubtful))
        self._process = process
        self.trouble = ""
        return link

    async def _start(self, binary: Binary, template: Template, fingerprint: str) -> Link:
        users = self._keeper.wanted()
        ports = free_loopback_ports(template.ports)
        config = template.render(users, ports)
        note = msgspec.json.encode(Note(ports[0], fingerprint))
        # The core does not outlive the machine, so neither need these: no disk is waited for.
        try:
            await asyncio.to_thread(journal.replace, self._config, config, durable=False)
            await asyncio.to_thread(journal.replace, self._note, note, durable=False)
            process = CoreProcess.start(binary, self._config, self._output)
        except OSError as error:
            raise CoreStartError(f"{error.filename or binary.path}: {error.strerror}") from error
        client = CoreClient(f"{LOOPBACK}:{ports[0]}", self._tag)
        self._process = process
        self.begun.set()
        try:
            await _probe(client, process, self._start_timeout)
        except CoreStartError as error:
            await client.close()
            await process.stop()
            said = core_process.last_words(self._output)
            raise CoreStartError(f"{error}; it said: {said}") from error
        log.info("core_started", pid=process.pid, kind=binary.kind, users=len(users))
        return self._link(client, process, binary, users)

    def _link(
        self,
        client: CoreClient,
        process: CoreProcess,
        binary: Binary,
        users: tuple[()] | list[CoreUser],
    ) -> Link:
        return Link(
            client,
            life=process.life,
            version=binary.version,
            started_at=self._clock.now() - timedelta(seconds=process.age_seconds()),
            users=users,
            pid=process.pid,
            adopted=process.adopted,
            restart=self._restart if self._may_restart_empty else None,
        )


async def _probe(client: CoreClient, process: CoreProcess, timeout_seconds: float) -> None:
    """Wait until the core answers. CoreStartError: it ended instead, or the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_seconds
    while True:
        try:
            await client.probe()
        except (CoreUnreachableError, CoreRefusedError) as error:
            if process.exited.is_set():
                raise CoreStartError("the core ended at once") from error
            if loop.time() > until:
                raise CoreStartError(f"the core does not answer: {error}") from error
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        else:
            return
