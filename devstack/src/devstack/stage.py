"""A whole platform of a test's own: its own folder and ports, gone when the test is."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import asyncpg
import psutil

from chassis.identity import Identity
from chassis.signatures import Signatures
from contracts.producers import OPERATOR
from devstack import nats_security, signing, urls
from devstack.chat import Chat
from devstack.customer import Customer
from devstack.ports import free_row
from devstack.settings import Lock
from devstack.testing import scratch_folder
from devstack.warm_commands import WarmCommands, warm_commands

START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 40.0
POLL_SECONDS = 0.1
BIRTH_POLL_SECONDS = 0.02

# How a running process is recognised by its command line.
_MODULES = ("gateway", "billing", "generator", "scheduler", "vpn")
_COMMAND_LINES = {"vitrine": "vitrine_tools.cli", "billing": "billing.cli", "vpn": "vpn.cli"}


@dataclass(frozen=True, slots=True)
class Account:
    """What billing's own tables say about a person."""

    available: int
    held: int
    transfers: int
    """How often credits moved: unchanged means that nothing was held or charged meanwhile."""


class Stage:
    """A running platform: where it answers, and which processes it is made of."""

    def __init__(
        self, found: dict[str, Any], supervisor: int, session: aiohttp.ClientSession, folder: Path
    ) -> None:
        self.urls = found
        self.session = session
        self.folder = folder
        self._supervisor = supervisor
        self._stack = AsyncExitStack()
        self._commands: dict[str, WarmCommands] = {}
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def chat(self, user_id: int) -> Chat:
        """Return the chat of a person who is made up on first use."""
        return Chat(self.session, self.urls["telegram_control"], user_id)

    def customer(self, user_id: int) -> Customer:
        """Return a person who knows how to order."""
        return Customer(self.chat(user_id))

    async def register(self, user_id: int, name: str, language: str = "en") -> None:
        """Let there be such a person in the Telegram stand-in, who has not written yet."""
        url = f"{self.urls['telegram_control']}/users/{user_id}"
        fields = {"first_name": name, "language_code": language}
        async with self.session.put(url, json=fields) as answer:
            answer.raise_for_status()

    async def connect(self) -> asyncpg.Connection:
        """Return a connection that may read every service's schema."""
        return await asyncpg.connect(self.urls["database"])

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database something once."""
        connection = await self.connect()
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def account(self, user_id: int) -> Account:
        """Return a person's account; somebody who never wrote has an empty one."""
        rows = await self.fetch(
            "SELECT available, held, transfers FROM billing.accounts WHERE user_id = $1", user_id
        )
        return Account(**dict(rows[0])) if rows else Account(0, 0, 0)

    async def run(self, program: str, *arguments: str, actor: str = "") -> tuple[int, str]:
        """Run an operator's command line; returns its exit code and what it printed."""
        command = await self._command(program)
        environment = {
            **os.environ,
            "COLUMNS": "400",
            "VITRINE_ACTOR": actor,
            **self._operator_settings(),
            "BILLING_DATABASE_URL": self.urls["database"],
        }
        return await command.run(program, *arguments, environment=environment)

    async def _command(self, program: str) -> WarmCommands:
        async with self._one_at_a_time:
            if program not in self._commands:
                warm = warm_commands(_COMMAND_LINES[program])
                self._commands[program] = await self._stack.enter_async_context(warm)
        return self._commands[program]

    def signed(self, subject: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers as if one that may send this message had sent it."""
        whole = dict(headers)
        self.signatures.sign(subject, body, whole)
        return whole

    @property
    def identity(self) -> Identity:
        """Who a test is to the platform's NATS: somebody who may do everything."""
        return nats_security.identity(self.folder)

    @property
    def signatures(self) -> Signatures:
        """What a test signs with, that plays any service or person."""
        return signing.everybody(self.folder)

    def _operator_settings(self) -> dict[str, str]:
        """An operator's keys, to every command line that may be run."""
        found = {
            "NATS_URL": self.urls["nats"],
            **nats_security.settings_of(self.folder, OPERATOR),
            **signing.settings_of(self.folder, OPERATOR),
        }
        return {
            f"{prefix}_{name}": value
            for prefix in ("VITRINE", "BILLING", "VPN")
            for name, value in found.items()
        }

    async def comfyui(self, action: str, order: Mapping[str, Any]) -> None:
        """Order something of the ComfyUI stand-in: `faults`, `time_scale`, `switches`."""
        url = f"{self.urls['comfyui']}/control/{action}"
        async with self.session.post(url, json=dict(order)) as answer:
            answer.raise_for_status()

    def pids(self, name: str) -> list[int]:
        """Return the processes of a service, of `nats` or of `postgres` that run now."""
        found = []
        for child in psutil.Process(self._supervisor).children(recursive=True):
            try:
                command = child.cmdline()
                parent = child.ppid()
            except psutil.Error:
                continue
            if _name_of(command) == name and _name_of(_command_of(parent)) != name:
                found.append(child.pid)
        return found

    def agents(self) -> dict[str, int]:
        """Return the processes of VPN nodes' agents, by node."""
        found = {}
        for child in psutil.Process(self._supervisor).children(recursive=True):
            try:
                if child.cmdline()[-2:] == ["-m", "vpn.agent"]:
                    found[child.environ()["VPN_AGENT_NODE"]] = child.pid
            except (psutil.Error, KeyError):
                continue
        return found

    def kill_node(self, name: str, *, wipe: bool = False) -> int:
        """Kill -9 a VPN node's agent, and so its core; `wipe`: its disk is gone too."""
        pid = self.agents()[name]
        os.kill(pid, signal.SIGKILL)
        if wipe:
            # It starts again half a second later at the soonest, and finds nothing.
            shutil.rmtree(self.folder / "vpn" / name)
        return pid

    @asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """Kill -9 the one process of a service; its successor gets no further than its birth."""
        old = self.pids(name)
        self.kill(name)
        frozen: list[int] = []
        while not frozen:
            await asyncio.sleep(BIRTH_POLL_SECONDS)
            frozen = [pid for pid in self.pids(name) if pid not in old]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in frozen:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def kill(self, name: str, *, index: int = 0) -> bool:
        """Kill -9 one process by name; False when it is not running just now."""
        pids = self.pids(name)
        if not pids:
            return False
        try:
            os.kill(pids[index % len(pids)], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    async def faults(self, fault: Mapping[str, Any]) -> None:
        """Set a fault of the Telegram stand-in."""
        async with self.session.post(
            f"{self.urls['telegram_control']}/faults", json=dict(fault)
        ) as answer:
            answer.raise_for_status()

    async def no_faults(self) -> None:
        async with self.session.delete(f"{self.urls['telegram_control']}/faults") as answer:
            answer.raise_for_status()

    async def comfyui_well(self) -> None:
        """Forget every fault that was ordered of the ComfyUI stand-in."""
        async with self.session.delete(f"{self.urls['comfyui']}/control/faults") as answer:
            answer.raise_for_status()


def _command_of(pid: int) -> list[str]:
    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def _name_of(command: list[str]) -> str:
    if "-m" in command:
        module = command[command.index("-m") + 1]
        if module in _MODULES and "migrate" not in command:
            return module
        return ""
    program = Path(command[0]).name if command else ""
    return {"nats-server": "nats", "postgres": "postgres"}.get(program, "")


def free_port_base() -> int:
    """Return a base from which every port of a platform is free."""
    return free_row(urls.PORTS)


@asynccontextmanager
async def running_platform(
    environment: Mapping[str, str] | None = None, *, folder: Path | None = None
) -> AsyncIterator[Stage]:
    """Run `devstack up` and hand over the running platform; logs stay in `<folder>/up.log`.

    Raises RuntimeError with the last lines of the log when it does not get ready.
    """
    with scratch_folder() as scratch:
        state = folder or scratch
        state.mkdir(parents=True, exist_ok=True)
        # What an earlier run on this folder left must not pass for the new one's readiness.
        (state / urls.FILE_NAME).unlink(missing_ok=True)
        log = state / "up.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "devstack", "up"),
                env={
                    **os.environ,
                    "VITRINE_STATE_DIR": str(state),
                    "VITRINE_PORT_BASE": str(free_port_base()),
                    # One operator acts in all tests; what a person may give in a day is theirs.
                    "BILLING_ADJUST_ALONE_DAY_MAX": "1000000",
                    **(environment or {}),
                },
                stdout=output,
                stderr=output,
            )
        try:
            found = await _wait_ready(process, state / urls.FILE_NAME, log)
            async with aiohttp.ClientSession() as session:
                async with Stage(found, process.pid, session, state) as stage:
                    yield stage
        finally:
            await _stop(process)


@asynccontextmanager
async def attached(state: Path) -> AsyncIterator[Stage]:
    """Hand over a platform that runs already, and leave it running."""
    supervisor = Lock(state).holder()
    if supervisor is None:
        raise RuntimeError(f"no platform runs on {state}")
    async with aiohttp.ClientSession() as session:
        async with Stage(urls.read(state), supervisor, session, state) as stage:
            yield stage


async def _wait_ready(process: asyncio.subprocess.Process, file: Path, log: Path) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_TIMEOUT_SECONDS
    while not file.exists():
        if process.returncode is not None or loop.time() > deadline:
            raise RuntimeError(f"the platform did not get ready:\n{log.read_text()[-4000:]}")
        await asyncio.sleep(POLL_SECONDS)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
