"""Puts one generator process together: one lease, one ComfyUI, one slot."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

from chassis import logs, metrics
from chassis.errors import ConfigurationError
from chassis.key_value import KeyValue
from chassis.leases import Lease
from chassis.objects import Objects
from chassis.service import Service, run_main
from contracts import catalogue as catalogues
from contracts.catalogue import Catalogue, CatalogueError
from contracts.topology import POOLS
from generator import consumers
from generator.adapters.claims_kv import KvClaims
from generator.adapters.comfyui import ComfyUI
from generator.adapters.commands import CommandLoop, CommandRoute
from generator.adapters.events import BrokerEvents
from generator.adapters.jobs import JobSettlement, JobStream
from generator.adapters.media import ObjectMedia
from generator.domain.claims import Limits
from generator.domain.progress import Durations
from generator.handlers.cancel_job import cancel_job
from generator.handlers.keep_server import ServerHealth
from generator.handlers.serve_server import Session, Spawn
from generator.handlers.tools import Pace, Tools
from generator.settings import Settings

log = logs.get("generator")
STOP_MARGIN_SECONDS = 3.0
"""Kept of the grace period for settling, flushing and disconnecting."""


class Generator:
    """The composition: holds the lease, and serves the server while it does."""

    def __init__(self, service: Service, settings: Settings, catalogue: Catalogue) -> None:
        self._service = service
        self._settings = settings
        self._catalogue = catalogue
        self._claims = KvClaims(service.broker)
        self._events = BrokerEvents(service.broker, service.clock)
        self._media = ObjectMedia(Objects(service.broker))
        self._settlement = JobSettlement(service.broker)
        self._durations = Durations()
        self._pace = _pace(settings)
        self._health = ServerHealth(
            settings.pool_names(),
            quarantine=self._pace.quarantine,
            pool_out=self._pace.pool_out,
            probe_every=self._pace.probe_every,
            sick_probe_every=self._pace.sick_probe_every,
        )
        self._lease = Lease(
            KeyValue(service.broker, "leases"),
            f"generator/{settings.server()}",
            f"generator-{uuid4().hex[:8]}",
        )
        self._session: Session | None = None
        self._served_before = False
        # No condition of readiness: nobody is led here by it, and a rollout must not fail for a
        # server that is somebody else's. Jobs go to other servers, and the gauge alerts.
        service.health.add_note("comfyui", self.idle_reason)
        metrics.gauge(
            "generator.server_sick",
            lambda: float(self.sick()),
            description="1 while the held ComfyUI server is given no job",
        )

    async def idle_reason(self) -> str | None:
        """Why it claims no job, or None."""
        if not self._lease.held:
            return "ComfyUI: another pod holds this server's lease"
        return await self._health.report()

    def sick(self) -> bool:
        """Whether the server it holds is given no job; a process that only waits is not sick."""
        return self._lease.held and not self._health.well

    async def claiming(self) -> bool:
        return await self.idle_reason() is None

    async def serve(self) -> None:
        """Lease, session, lease, session ... until the process stops."""
        background = self._service.background
        while not background.stopping.is_set():
            if not await self._lease.acquire():
                await background.pause(STANDBY_SECONDS)
                continue
            await self._serve_once()
            await self._lease.release()

    async def _serve_once(self) -> None:
        settings = self._settings
        server = ComfyUI(
            url=settings.comfyui_url,
            name=settings.server(),
            may_act=lambda: self._lease.held,
            read_seconds=settings.request_timeout.total_seconds(),
            on_socket_lost=self._health.probe_soon,
        )
        fresh, self._served_before = not self._served_before, True
        self._session = Session(
            partial(self._tools, server, fresh), JobStream(self._service.broker), self._lease.lost
        )
        if self._service.background.stopping.is_set():
            self._session.ask_stop()
        try:
            await self._session.serve(server.socket.run)
        finally:
            self._session = None
            await server.close()

    def _tools(self, server: ComfyUI, fresh: bool, spawn: Spawn) -> Tools:
        return Tools(
            server=server,
            claims=self._claims,
            settlement=self._settlement,
            media=self._media,
            events=self._events,
            clock=self._service.clock,
            catalogue=self._catalogue,
            limits=Limits(
                silence=self._settings.claim_silence,
                elsewhere_patience=self._settings.elsewhere_patience,
            ),
            pace=self._pace,
            health=self._health,
            durations=self._durations,
            spawn=spawn,
            new_prompt_id=lambda: str(uuid4()),
            fresh_process=fresh,
        )

    async def stop(self) -> None:
        if self._session is not None:
            grace = self._settings.shutdown_grace.total_seconds() - STOP_MARGIN_SECONDS
            await self._session.stop(max(grace, 0.0))

    def commands(self) -> CommandLoop:
        clock = self._service.clock
        cancel = partial(cancel_job, records=self._claims, events=self._events, clock=clock)
        routes = {
            subject: CommandRoute(message=message, handler=handler)
            for subject, (message, handler) in consumers.table(cancel_job=cancel).items()
        }
        broker = self._service.broker
        return CommandLoop(broker, consumers.STREAM, consumers.CONSUMER, routes, clock)


STANDBY_SECONDS = 0.5
SICK_PROBE_SECONDS = 1.0


def _pace(settings: Settings) -> Pace:
    return Pace(
        late_window=settings.late_window.total_seconds(),
        ahead_patience=settings.ahead_patience.total_seconds(),
        interrupt_patience=settings.interrupt_patience.total_seconds(),
        unreachable_patience=settings.unreachable_patience.total_seconds(),
        zombie_patience=settings.zombie_patience.total_seconds(),
        quarantine=settings.quarantine.total_seconds(),
        probe_every=settings.probe_every.total_seconds(),
        sick_probe_every=min(settings.probe_every.total_seconds(), SICK_PROBE_SECONDS),
    )


def _load(settings: Settings) -> Catalogue:
    unknown = set(settings.pool_names()) - set(POOLS)
    if unknown or not settings.pool_names():
        raise ConfigurationError(f"GENERATOR_POOLS: {settings.pools!r} is not of {POOLS}")
    try:
        return catalogues.load(settings.catalogue_dir)
    except CatalogueError as error:
        raise ConfigurationError(str(error)) from error


def start(service: Service, settings: Settings, catalogue: Catalogue) -> Generator:
    """Spawn everything; what `run` and the tests share."""
    generator = Generator(service, settings, catalogue)
    commands = generator.commands()
    service.on_stop(commands.stop)
    service.on_stop(generator.stop)
    service.background.supervise(commands.run, name="commands")
    service.spawn(generator.serve(), name="serve")
    return generator


async def run(settings: Settings) -> None:
    catalogue = _load(settings)
    async with Service.start("generator", settings) as service:
        start(service, settings, catalogue)
        await service.until_stopped()


def main() -> None:
    run_main(run, Settings)
