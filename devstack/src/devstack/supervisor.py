"""Starts the whole platform, keeps it running as Kubernetes would, and leaves nothing behind."""

import asyncio
import hashlib
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from devstack import nats_security
from devstack import urls as addresses
from devstack.children import Child, Platform, port_of
from devstack.children import platform as all_children
from devstack.console import Console
from devstack.errors import PortTakenError, StartError
from devstack.health import answers_ok
from devstack.nats_server import NatsServer
from devstack.ports import is_free
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from devstack.settings import Passwords, Settings

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 10.0
# A child that lived this long has recovered: its next failure starts from the shortest pause.
STABLE_SECONDS = 30.0
READY_POLL_SECONDS = 0.1
READY_TIMEOUT_SECONDS = 60.0
SERVICE_GRACE_SECONDS = 25.0
NICENESS_OF_CHECKS = 10
STAND_IN_GRACE_SECONDS = 5.0
PORTS_TIMEOUT_SECONDS = 5.0


_PASSWORD = re.compile(r":[^:/@]+@")


class _StopAsked(Exception):  # noqa: N818 (not an error: it unwinds the task group)
    """Ctrl-C, SIGTERM or a closed terminal."""


class Waitable(Protocol):
    async def wait(self) -> int: ...


class Supervisor:
    """One running platform. `run` returns the exit code once everything has stopped."""

    def __init__(
        self,
        settings: Settings,
        console: Console,
        platform: Callable[[Settings, addresses.Urls, Passwords], Platform] = all_children,
    ) -> None:
        self._settings = settings
        self._console = console
        self._passwords = Passwords(settings.state_dir / "passwords.json")
        self._postgres = own_postgres(settings, self._passwords, console.sink("postgres"))
        self._nats = NatsServer(
            settings.state_dir / "nats",
            settings.port_base + addresses.Port.NATS,
            monitoring_port=settings.port_base + addresses.Port.NATS_MONITORING,
            output=console.sink("nats"),
            security=partial(nats_security.prepare, settings.state_dir, settings.nats_accounts),
        )
        self.urls = addresses.plan(settings, self._postgres.dsn(database=addresses.DATABASE))
        self._prepared = settings.state_dir / "prepared"
        servers = f"{self.urls.database} {self.urls.nats}"
        self._fingerprint = hashlib.sha256(servers.encode()).hexdigest()
        self._platform = platform(settings, self.urls, self._passwords)
        self._stand_ins: dict[str, ChildProcess] = {}
        self._services: dict[str, ChildProcess] = {}
        self._short_lived: list[ChildProcess] = []
        self._stop_asked = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        (self._settings.state_dir / addresses.FILE_NAME).unlink(missing_ok=True)
        code = 0
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start(group))
                await self._stop_asked.wait()
                raise _StopAsked
        except* _StopAsked:
            self._console.say("stopping")
        except* StartError as failures:
            for failure in flatten(failures):
                self._console.say(f"cannot start: {failure}", bad=True)
            code = 1
        finally:
            await self._stop_all()
        self._console.say("stopped, nothing is left running")
        return code

    def _on_signal(self) -> None:
        if not self._stop_asked.is_set():
            self._stop_asked.set()
            return
        self._console.say("asked twice: killing what is left", bad=True)
        for process in [*self._services.values(), *self._stand_ins.values(), *self._short_lived]:
            process.send(signal.SIGKILL)

    async def _start(self, keepers: asyncio.TaskGroup) -> None:
        await self._wait_for_ports()
        async with asyncio.TaskGroup() as launches:
            for child in self._platform.stand_ins:
                launches.create_task(self._launch(child, self._stand_ins, keepers))
            # Services wait by themselves for servers, and for a release's new migrations; only the
            # very first time is there no role they could log in with.
            if self._prepared_before():
                self._launch_services(launches, keepers)
            async with asyncio.TaskGroup() as foundations:
                foundations.create_task(self._open_nats(keepers))
                foundations.create_task(self._open_database(keepers))
            if not self._prepared_before():
                self._launch_services(launches, keepers)
                self._prepared.write_text(self._fingerprint)
        self.urls.write(self._settings.state_dir)
        self._console.say(f"ready after {time.monotonic() - self._began:.1f} s")
        self._console.block(table_of(self.urls))

    def _launch_services(self, launches: asyncio.TaskGroup, keepers: asyncio.TaskGroup) -> None:
        for child in self._platform.services:
            launches.create_task(self._launch(child, self._services, keepers))

    def _prepared_before(self) -> bool:
        return self._prepared.exists() and self._prepared.read_text() == self._fingerprint

    async def _open_nats(self, keepers: asyncio.TaskGroup) -> None:
        if not self._settings.nats_url:
            await self._nats.start()
            keepers.create_task(self._keep("nats", self._nats, self._nats.start))
        bootstrap = self._platform.bootstrap
        await self._run_once(bootstrap, bootstrap.command, "bootstrap")

    async def _open_database(self, keepers: asyncio.TaskGroup) -> None:
        from devstack.database import create_database

        if not self._settings.database_url:
            await self._postgres.start()
            keepers.create_task(self._keep("postgres", self._postgres, self._postgres.start))
            await create_database(self._postgres.dsn(), addresses.DATABASE)
        async with asyncio.TaskGroup() as migrations:
            for child in self._platform.services:
                if child.migrate_command:
                    work = self._run_once(child, child.migrate_command, f"{child.name} migrate")
                    migrations.create_task(work)

    async def _run_once(self, child: Child, command: Sequence[str], name: str) -> None:
        # Once the services are on their way, this mostly finds nothing to do: it steps aside.
        niceness = NICENESS_OF_CHECKS if self._services else 0
        process = self._process(child, command, name, niceness)
        self._short_lived.append(process)
        await process.run()

    async def _launch(
        self, child: Child, processes: dict[str, ChildProcess], keepers: asyncio.TaskGroup
    ) -> None:
        process = self._process(child, child.command, child.name)
        processes[child.name] = process

        async def start_again() -> None:
            process.start()

        process.start()
        keepers.create_task(self._keep(child.name, process, start_again))
        if child.ready_url:
            await self._wait_ready(child)

    def _process(
        self, child: Child, command: Sequence[str], name: str, niceness: int = 0
    ) -> ChildProcess:
        return ChildProcess(
            name,
            command,
            environment={**child.environment, "PYTHONUNBUFFERED": "1", **os.environ},
            output=self._console.sink(child.name),
            niceness=niceness,
        )

    async def _wait_ready(self, child: Child) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while not await answers_ok(child.ready_url):
            if time.monotonic() > deadline:
                # Perhaps a server of the user's own is down: the rest is of use without it.
                self._console.say(f"{child.name} is not ready: see {child.ready_url}", bad=True)
                return
            await asyncio.sleep(READY_POLL_SECONDS)

    async def _keep(
        self, name: str, process: Waitable, start: Callable[[], Awaitable[None]]
    ) -> None:
        """Start a child again whenever it ends; only the supervisor's own end is an end."""
        backoff = BACKOFF_FIRST_SECONDS
        while True:
            began = time.monotonic()
            code = await process.wait()
            if time.monotonic() - began > STABLE_SECONDS:
                backoff = BACKOFF_FIRST_SECONDS
            self._console.say(f"{name} ended with {code}, starts again in {backoff:g} s", bad=True)
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)
            try:
                await start()
            except StartError as error:
                self._console.say(f"{name}: {error}", bad=True)

    async def _stop_all(self) -> None:
        """Services first, so that they can still say goodbye to what they depend on."""
        for processes, grace_seconds in (
            ([*self._services.values(), *self._short_lived], SERVICE_GRACE_SECONDS),
            (list(self._stand_ins.values()), STAND_IN_GRACE_SECONDS),
        ):
            await asyncio.gather(*(process.terminate(grace_seconds) for process in processes))
        await asyncio.gather(self._nats.stop(), self._postgres.stop())

    async def _wait_for_ports(self) -> None:
        """The ports of a platform that was killed a moment ago are free again soon."""
        deadline = time.monotonic() + PORTS_TIMEOUT_SECONDS
        while taken := {
            name: port for name, port in self._own_ports().items() if not is_free(port)
        }:
            if time.monotonic() > deadline:
                listed = ", ".join(f"{port} ({name})" for name, port in taken.items())
                raise PortTakenError(
                    f"other programs listen on {listed}; VITRINE_PORT_BASE moves all ports"
                )
            await asyncio.sleep(READY_POLL_SECONDS)

    def _own_ports(self) -> dict[str, int]:
        urls, settings = self.urls, self._settings
        ours = {
            "traces": urls.traces,
            "payments": urls.payment_webhooks,
            "vpn links": urls.vpn_links,
            "vpn node": urls.vpn_node,
            **urls.health,
        }
        if not settings.crypto_pay_token:
            ours["crypto_pay"] = urls.crypto_pay
        if not settings.yookassa_shop_id:
            ours["yookassa"] = urls.yookassa
        if not settings.bot_token:
            ours["telegram"] = urls.telegram_api
        if not settings.comfyui_urls:
            ours["comfyui"] = urls.comfyui[0]
        if not settings.nats_url:
            ours |= {"nats": urls.nats, "nats monitoring": urls.nats_monitoring}
        if not settings.database_url:
            ours["database"] = urls.database
        return {name: int(port_of(url)) for name, url in ours.items()}


def own_postgres(
    settings: Settings, passwords: Passwords, output: Callable[[str], None] | None = None
) -> Postgres:
    return Postgres(
        settings.state_dir / "postgres",
        settings.port_base + addresses.Port.DATABASE,
        {"log_line_prefix": ""},  # the supervisor says when and who
        password=passwords.of("postgres"),
        output=output,
    )


def flatten(failures: BaseExceptionGroup[StartError]) -> Iterator[StartError]:
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from flatten(failure)
        else:
            yield failure


def table_of(urls: addresses.Urls) -> str:
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(title="Vitrine", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in urls.as_json().items():
        if name == "health":
            for service, url in value.items():
                table.add_row(f"{service} health", f"{url}/readyz")
        elif isinstance(value, str) and value:
            # The password stays in urls.json, which is private; a terminal is not.
            table.add_row(name.replace("_", " "), _PASSWORD.sub(":…@", value))
    printer = RichConsole()
    with printer.capture() as captured:
        printer.print(table)
    return captured.get()
