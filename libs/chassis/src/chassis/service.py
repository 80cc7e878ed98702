"""The life of a process: start patiently, run, stop within the grace period."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from pydantic import ValidationError

from chassis import logs, metrics, migrations, rpc, signatures, stopping, tracing
from chassis.background import Background
from chassis.backlog import SAMPLE_EVERY, Backlog
from chassis.broker import Broker
from chassis.certificate_watch import CertificateWatch
from chassis.clock import Clock, SystemClock
from chassis.consumers import ExactlyOnce, Subscription
from chassis.database import Database
from chassis.effects import EffectKind, EffectWorker
from chassis.errors import ConfigurationError, TransientError
from chassis.health import Health
from chassis.identity import Identity
from chassis.outbox import Outbox
from chassis.partitions import MAINTAIN_EVERY
from chassis.redrive import Redrive
from chassis.retention import Retention
from chassis.settings import DatabaseSettings, ServiceSettings
from contracts.envelope import Reply, Request

log = logs.get("chassis.service")
S = TypeVar("S", bound=ServiceSettings)
R = TypeVar("R", bound=Request)
T = TypeVar("T")
EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2
SCHEMA_POLL_SECONDS = 0.5
REDRIVE_EVERY = timedelta(seconds=30)
KEYS_LOOK_EVERY = timedelta(seconds=2)
CERTIFICATE_LOOK_EVERY = timedelta(hours=1)


class Service:
    """One running service: what main.py composes on. Made by `Service.start`."""

    broker: Broker

    def __init__(self, name: str, settings: ServiceSettings, clock: Clock) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.background = Background()
        self.health = Health()
        self._connected = False
        self._starting: asyncio.Task[Any] | None = None
        """Who starts, from connected until ready."""
        self._cut_short = False
        self._refused = ""
        self._consumers: list[ExactlyOnce] = []
        self._outboxes: list[Outbox] = []
        self._databases: list[Database] = []
        self._stop_hooks: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    @asynccontextmanager
    async def start(
        cls, name: str, settings: ServiceSettings, *, clock: Clock | None = None
    ) -> AsyncIterator[Service]:
        """Set up logs, traces, signals, health and the broker; on leaving, stop in order."""
        logs.configure(service=name, log_format=settings.log_format, level=settings.log_level)
        tracing.configure(service=name, endpoint=settings.otlp_endpoint)
        metrics.configure(service=name, endpoint=settings.otlp_endpoint)
        service = cls(name, settings, clock or SystemClock())
        service._listen_to_signals()
        await service.health.start(settings.health_host, settings.health_port)
        service.health.add_check("nats", service._nats_ready)
        log.info("starting", health_port=service.health.port)
        try:
            if not await service._connect():
                raise SystemExit(EXIT_FAILED if service.background.failure else 0)
            service._starting = asyncio.current_task()
            yield service
        except asyncio.CancelledError:
            if not service._cut_short:
                raise
            raise SystemExit(0) from None
        finally:
            service._starting = None
            await service._stop()

    async def _connect(self) -> bool:
        """Connect, unless the process is asked to stop before the server is there."""
        identity = Identity.of(self.settings, self.name)
        identity.check()
        signing = self._signing()
        connecting = self.background.spawn(
            Broker.connect(
                self.settings.nats_url,
                name=self.name,
                identity=identity,
                on_fatal=self.fail,
                on_refused=self._not_admitted,
                signatures=signing,
            ),
            name="connect",
        )
        stopping = self.background.spawn(self.background.stopping.wait(), name="stop-watch")
        await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done() or connecting.cancelled() or connecting.exception():
            connecting.cancel()
            return False
        self.broker = connecting.result()
        self._connected = True
        return True

    def fail(self, reason: str) -> None:
        """Stop the process: something only a new start (or an operator) can mend."""
        log.error("fatal", reason=reason)
        self.background.failure = self.background.failure or ConfigurationError(reason)
        self.background.stopping.set()

    def _signing(self) -> signatures.Signatures:
        """How messages are signed; key files that change are read again."""
        settings = self.settings
        signing = signatures.of_service(
            self.name,
            mode=settings.signatures,
            key_file=settings.signing_key_file,
            verify_keys=settings.verify_keys_dir,
        )
        self.background.spawn(
            self.background.every(KEYS_LOOK_EVERY, signing.look, name="signing-keys"),
            name="signing-keys",
        )
        return signing

    def _watch_certificate(self) -> None:
        """Measure how long NATS will still let us in; files that change are read again."""
        identity = Identity.of(self.settings, self.name)
        if not identity.tls_dir:
            return
        watch = CertificateWatch(identity, self.clock)
        metrics.gauge("vitrine.nats.certificate_days_left", lambda: watch.days_left, unit="d")
        self.background.spawn(
            self.background.every(CERTIFICATE_LOOK_EVERY, watch.look, name="certificate"),
            name="certificate",
        )

    def _not_admitted(self, reason: str) -> None:
        """Not the end: the server may be about to learn of our key, or we are given the next."""
        self._refused = reason

    async def _nats_ready(self) -> str | None:
        if self._connected and self.broker.connected:
            self._refused = ""
            return None
        return f"NATS: {self._refused or 'not connected'}"

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)

    def _asked_to_stop(self) -> None:
        # From here on the platform counts; also what hangs before it looks at the stop must end.
        stopping.last_resort(self.settings.shutdown_grace.total_seconds())
        self.background.stopping.set()
        if self._starting is not None:
            # What it waits for may not come within the grace: a frozen Postgres answers nobody.
            self._cut_short = True
            self._starting.cancel()
            self._starting = None

    async def database(self, *, schema: str, folder: Path) -> Database:
        """Open the pool and wait until the schema has every `pre` step of this release."""
        settings = self.settings
        assert isinstance(settings, DatabaseSettings)
        self.health.add_check("postgres", _not_connected)
        database = await self._patiently(
            lambda: Database.connect(
                settings.login,
                schema=schema,
                pool_max=settings.database_pool_max,
                application_name=self.name,
                stopping=self.background.stopping,
            )
        )
        self._databases.append(database)
        self.health.add_check("postgres", database.ready)

        async def migrated() -> None:
            async with database.read() as connection:
                lacking = await migrations.missing(connection, folder)
            if lacking is not None:
                raise TransientError(lacking)

        await self._patiently(migrated)
        return database

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat what the database is not ready for; asked to stop meanwhile, the process ends."""
        while not self.background.stopping.is_set():
            try:
                return await work()
            except TransientError as error:
                log.warning("waiting_for_database", reason=str(error))
                self.health.phase = f"starting: {error}"
            await self.background.pause(SCHEMA_POLL_SECONDS)
        raise SystemExit(EXIT_FAILED if self.background.failure else 0)

    async def outbox(self, database: Database) -> Outbox:
        """Return the process's outbox, with publisher, sweeper and partitions at work."""
        outbox = Outbox(database, self.broker, self.clock)
        await self._patiently(outbox.partitions.maintain)
        self._outboxes.append(outbox)
        metrics.gauge("vitrine.outbox.lag", lambda: outbox.lag_seconds, unit="s")
        self.background.spawn(outbox.run_publisher(), name="outbox-publisher")
        self.background.spawn(outbox.run_sweeper(self.background.stopping), name="outbox-sweeper")
        self.background.spawn(
            self.background.every(MAINTAIN_EVERY, outbox.partitions.maintain, name="partitions"),
            name="partitions",
        )
        retention = Retention(database, self.clock, self.background.stopping)
        self.background.spawn(
            self.background.every(MAINTAIN_EVERY, retention.run_once, name="retention"),
            name="retention",
        )
        self._show(Backlog(database, self.clock))
        return outbox

    def _show(self, backlog: Backlog) -> None:
        metrics.gauge("vitrine.parked.waiting", lambda: backlog.parked_waiting)
        metrics.gauge("vitrine.parked.oldest", lambda: backlog.parked_oldest_seconds, unit="s")
        metrics.gauge("vitrine.effects.lag", lambda: backlog.effects_lag_seconds, unit="s")
        self.background.spawn(
            self.background.every(SAMPLE_EVERY, backlog.sample, name="backlog"), name="backlog"
        )

    def consume(self, outbox: Outbox, *subscriptions: Subscription) -> None:
        """Run exactly-once consumers, and answer operators about what they parked."""
        added = [ExactlyOnce(self.name, outbox, each) for each in subscriptions]
        self._consumers += added
        for consumer, subscription in zip(added, subscriptions, strict=True):
            self.background.supervise(consumer.run, name=f"consume-{subscription.stream}")
        self.redrive(outbox, added)

    def redrive(self, outbox: Outbox, consumers: Sequence[ExactlyOnce]) -> None:
        """Answer operators about parked messages, and handle what they release."""
        redrive = Redrive(self.name, outbox, consumers)
        redrive.answer(self)
        # Again and again: Postgres may go away between a row's release and its handling.
        self.background.spawn(
            self.background.every(REDRIVE_EVERY, redrive.run_left_over, name="redrive"),
            name="redrive",
        )

    def carry_out(self, outbox: Outbox, kinds: Mapping[str, EffectKind]) -> None:
        """Run the worker that makes outside calls for effect rows."""
        worker = EffectWorker(outbox, kinds)
        self.background.spawn(worker.run(self.background.stopping), name="effects")

    def answer(
        self, subject: str, request: type[R], handler: Callable[[R], Awaitable[Reply]]
    ) -> None:
        """Answer a read on `subject`; replicas share the work."""
        self.background.spawn(self._answer(subject, request, handler), name=f"answer {subject}")

    async def _answer(
        self, subject: str, request: type[R], handler: Callable[[R], Awaitable[Reply]]
    ) -> None:
        answering = await rpc.answer(
            self.broker, request, handler, subject=subject, queue=self.name
        )
        await self.background.stopping.wait()
        await answering.stop()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        return self.background.spawn(coroutine, name=name)

    def on_stop(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Call `hook` first when stopping: it ends claiming and hands back what is held."""
        self._stop_hooks.append(hook)

    async def until_stopped(self) -> None:
        """Wait for SIGTERM or a failure; then claim nothing more."""
        self._starting = None
        self.health.phase = ""
        log.info("ready")
        metrics.gauge("vitrine.running", lambda: 1.0, description="1 once the process has started")
        self._watch_certificate()  # not earlier: to read one would cost the start 0.1 s
        await self.background.stopping.wait()
        self.health.phase = "stopping"
        log.info("stopping")

    async def _stop(self) -> None:
        """Stop part by part; together they take no longer than the grace, whatever hangs."""
        self.background.stopping.set()
        grace = stopping.Grace(self.settings.shutdown_grace)
        stopping.last_resort(self.settings.shutdown_grace.total_seconds())
        try:
            await self._end_work(grace)
            await self._close(grace)
        finally:
            stopping.no_last_resort(then=grace.exit_seconds())
        log.info("stopped", failed=self.background.failure is not None)
        if self.background.failure is not None:
            raise SystemExit(EXIT_FAILED)

    async def _end_work(self, grace: stopping.Grace) -> None:
        for hook in self._stop_hooks:
            await grace.step(hook(), part=stopping.HOOKS, name="hook")
        stops = asyncio.gather(*(consumer.stop() for consumer in self._consumers))
        await grace.step(stops, part=stopping.TASKS, name="consumers")
        for outbox in self._outboxes:
            outbox.stop()
        await self.background.stop(grace.left(stopping.TASKS))

    async def _close(self, grace: stopping.Grace) -> None:
        for outbox in self._outboxes:
            await grace.step(outbox.flush(), part=stopping.FLUSH, name="outbox")
        if self._connected:
            closing = self.broker.close(grace.left(stopping.FLUSH))
            await grace.step(closing, part=stopping.CLOSE, name="nats")
        for database in self._databases:
            await grace.step(database.close(), part=stopping.CLOSE, name="postgres")
        await grace.step(self.health.stop(), part=stopping.CLOSE, name="health")
        telemetry = asyncio.gather(
            stopping.in_thread_to_leave(tracing.end), stopping.in_thread_to_leave(metrics.end)
        )
        await grace.step(telemetry, part=stopping.CLOSE, name="telemetry")


async def _not_connected() -> str | None:
    return "Postgres: not connected yet"


def run_main(run: Callable[[S], Coroutine[Any, Any, None]], settings: type[S]) -> None:
    """Run a service until it is stopped; say in one line what is wrong with its settings."""
    configured = configure(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(run(configured))
            finally:
                # Leaving the runner waits for threads and for tasks that were left behind.
                stopping.last_resort_at_exit()
    except ConfigurationError as error:
        sys.stderr.write(f"configuration: {error}\n")
        raise SystemExit(EXIT_MISCONFIGURED) from error


def configure(settings: type[S]) -> S:
    """Read the settings; end the process with one line for each that is wrong or missing."""
    try:
        return settings()
    except ValidationError as error:
        # Not the error's own text: it quotes the values, and a value may be a secret.
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        sys.stderr.write("settings: " + "\nsettings: ".join(lines) + "\n")
        raise SystemExit(EXIT_MISCONFIGURED) from error


def migrate_main(settings: type[DatabaseSettings], *, schema: str, folder: Path) -> None:
    """Make role and schema where that is allowed, and migrate; print what was done."""
    configured = configure(settings)

    async def work() -> list[str]:
        admin, login = configured.migration_database_url, configured.login()
        if admin:
            await migrations.provision(admin, role_dsn=login, schema=schema)
        return await migrations.migrate(
            admin or login,
            schema=schema,
            folder=folder,
            phase=configured.migration_phase,
            role=migrations.role_of(login) if admin else "",
        )

    for line in asyncio.run(work()):
        sys.stdout.write(f"{schema}: {line}\n")
