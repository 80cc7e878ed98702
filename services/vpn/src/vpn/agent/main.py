"""`vpn-agent`: run the agent, or make certificates (`vpn-agent pki ...`)."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

import uvloop
from pydantic import ValidationError

from chassis import logs, stopping
from chassis.background import Background
from chassis.clock import Clock, SystemClock
from chassis.errors import ConfigurationError
from chassis.health import Health
from vpn.agent import core_config, own_addresses, traffic
from vpn.agent.connections import Connections
from vpn.agent.core_config import Template
from vpn.agent.core_process import Binary
from vpn.agent.core_targets import Limits
from vpn.agent.desired_file import DesiredFile
from vpn.agent.external import ExternalCore
from vpn.agent.keeper import Keeper
from vpn.agent.node import Core, Node
from vpn.agent.settings import AgentSettings
from vpn.agent.skew import Skew
from vpn.agent.supervisor import Supervisor
from vpn.agent.traffic import Traffic

if TYPE_CHECKING:
    from vpn.agent.server import Server

log = logs.get("vpn.agent")
BACKLOG = 128
BEGUN_SECONDS_MAX = 3.0
"""How long the control plane waits for an agent whose core takes its time."""
EXIT_MISCONFIGURED = 78
"""EX_CONFIG (sysexits(3)): trying again will not help."""


class Agent:
    """All parts of one agent, put together. `start`, then `run_until_stopped`, then `stop`."""

    def __init__(self, settings: AgentSettings, clock: Clock) -> None:
        self.settings = settings
        self.background = Background()
        self._asked = asyncio.Event()
        folder = settings.state_folder.resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.file = DesiredFile(folder)
        self.file.load()
        self.traffic = Traffic(folder, clock)
        self.traffic.load()
        skew = Skew(clock, folder)
        skew.load()
        base = None if settings.core_api else _base(settings)
        port = core_config.inbound_port(base, settings.inbound_tag) if base else 0
        follow = settings.follow_connections and base is not None
        self.connections = Connections(folder, port, self.background, follow=follow)
        self.keeper = Keeper(
            self.file,
            clock,
            skew,
            self.connections,
            compare_every_seconds=settings.core_compare_every.total_seconds(),
        )
        self.core = self._core(base, clock)
        self.node = Node(
            settings.node,
            clock=clock,
            skew=skew,
            file=self.file,
            keeper=self.keeper,
            core=self.core,
            traffic=self.traffic,
            connections=self.connections,
        )
        self.server: Server | None = None
        self.health = Health()

    def _core(self, base: dict[str, Any] | None, clock: Clock) -> Core:
        settings = self.settings
        if base is None:
            return ExternalCore(
                address=settings.core_api,
                tag=settings.inbound_tag,
                keeper=self.keeper,
                clock=clock,
                check_every=settings.core_check_every,
            )

        limits = _limits(settings)

        def template(binary: Binary) -> Template:
            return Template(
                base,
                kind=binary.kind,
                tag=settings.inbound_tag,
                access_log=self.connections.pipe,
                limits=limits,
            )

        return Supervisor(
            folder=settings.state_folder.resolve(),
            binary=settings.core_binary,
            template=template,
            tag=settings.inbound_tag,
            keeper=self.keeper,
            clock=clock,
            start_timeout=settings.core_start_timeout,
            silence_max=settings.core_silence_max,
            check_every=settings.core_check_every,
            may_restart_empty=not core_config.has_clients(base, settings.inbound_tag),
        )

    async def run(self) -> None:
        """Serve until SIGTERM. SIGHUP looks at the certificates at once."""
        settings, background = self.settings, self.background
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        async with AsyncExitStack() as stack:
            # Who asks before there is an answer waits for it; a port that is taken is said at once.
            door = stack.enter_context(_listening(settings.listen_host, settings.listen_port))
            self.health.add_check("core", self.node.not_ready)
            await self.health.start(settings.health_host, settings.health_port)
            stack.push_async_callback(self.health.stop)
            stack.callback(self.file.close)
            self.connections.open()
            stack.callback(self.connections.close)
            background.supervise(lambda: self.keeper.run(background), name="keeper")
            background.supervise(lambda: self.core.run(background), name="core")
            background.supervise(
                lambda: self.keeper.compare_now_and_then(background), name="compare"
            )
            background.supervise(self._count_traffic, name="traffic")
            background.supervise(self.connections.run, name="connections")
            # People are served first: what is for the control plane takes longer to load.
            with suppress(TimeoutError):
                async with asyncio.timeout(BEGUN_SECONDS_MAX):
                    await self.core.begun.wait()
            self.server = server = await self._listen(door)
            background.supervise(self._reload_now_and_then, name="certificates")
            self.health.phase = ""
            log.info(
                "agent_started",
                node=settings.node,
                port=server.port,
                health_port=self.health.port,
                generation=self.keeper.holding.generation,
                entries=len(self.keeper.holding.entries),
                cut=self.connections.state.supported,
                cut_reason=self.connections.state.reason,
            )
            background.spawn(self._stop_on_failure(), name="failure")
            await self._asked.wait()
            await self._stop()

    async def _listen(self, door: socket.socket) -> Server:
        settings = self.settings
        server_module, tls = await asyncio.to_thread(_what_serves_the_control_plane)
        server: Server = server_module.Server(
            self.node,
            tls.TlsFiles(settings.certificate, settings.key, settings.ca),
            client_name=settings.client_name,
            body_bytes_max=settings.body_bytes_max,
            body_timeout=settings.body_timeout,
            handshake_timeout=settings.handshake_timeout,
        )
        await server.start(door)
        return server

    async def _stop(self) -> None:
        stopping.last_resort(self.settings.shutdown_grace.total_seconds())
        self.health.phase = "stopping"
        assert self.server is not None
        await self.server.stop()
        # While there still is a core to ask: one that is not kept takes its counters along.
        try:
            await self.traffic.refresh(self.keeper.link, self.keeper.holding.entries)
            await self.connections.save()
        except OSError as error:
            log.warning("last_counters_not_saved", why=error.strerror)
        self.background.stopping.set()
        self.keeper.wake()
        self.core.wake()
        await self.background.stop(self.settings.shutdown_grace / 2)
        await self.core.stop(keep_core=self.settings.keep_core)
        log.info("agent_stopped", core_kept=self.settings.keep_core)

    async def _stop_on_failure(self) -> None:
        await self.background.stopping.wait()
        self._asked.set()

    def ask_to_stop(self) -> None:
        self._asked.set()

    def _reload_soon(self) -> None:
        if self.server is not None:
            self.background.spawn(self.server.reload(), name="reload")

    async def _reload_now_and_then(self) -> None:
        every = self.settings.certificate_check_every.total_seconds()
        assert self.server is not None
        while not await self.background.pause(every):
            await self.server.reload()

    async def _count_traffic(self) -> None:
        await traffic.run(
            self.traffic,
            self.background,
            self.settings.traffic_every,
            lambda: self.keeper.link,
            self.keeper.holding.entries,
        )


def _base(settings: AgentSettings) -> dict[str, Any]:
    try:
        if settings.core_config is not None:
            return core_config.read_base(settings.core_config, settings.inbound_tag)
        return core_config.plain_base(
            settings.vless_host, settings.vless_port, settings.inbound_tag
        )
    except core_config.BaseConfigError as error:
        raise ConfigurationError(str(error)) from error


def _limits(settings: AgentSettings) -> Limits:
    try:
        found = own_addresses.public()
    except OSError as error:
        log.warning("own_addresses_not_found", why=error.strerror)
        found = ()
    return Limits(
        allow_private=settings.allow_private_targets,
        own=(*found, *map(str, settings.own_addresses)),
        allowed=tuple(map(str, settings.allowed_targets)),
    )


def _listening(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen(BACKLOG)
    return made


def _what_serves_the_control_plane() -> tuple[ModuleType, ModuleType]:
    # aiohttp and cryptography: more than half of what an agent loads.
    from vpn.adapters.nodes import tls
    from vpn.agent import server

    return server, tls


async def run(settings: AgentSettings) -> None:
    await Agent(settings, SystemClock()).run()


def _settings() -> AgentSettings:
    # As chassis.service does it, which would import Postgres and NATS.
    try:
        return AgentSettings()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        sys.stderr.write("settings: " + "\nsettings: ".join(lines) + "\n")
        raise SystemExit(EXIT_MISCONFIGURED) from error


def main() -> None:
    """Run `vpn-agent` or `vpn-agent pki ...`."""
    if sys.argv[1:2] == ["pki"]:
        from vpn.agent import pki

        raise SystemExit(pki.main(sys.argv[2:]))
    settings = _settings()
    logs.configure(service="vpn-agent", log_format=settings.log_format, level=settings.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from error
