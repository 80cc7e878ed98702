"""The composition root of the vpn service."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from chassis import metrics
from chassis.background import Background
from chassis.callers import Proxies, networks
from chassis.clock import Clock
from chassis.consumers import Subscription
from chassis.errors import ConfigurationError
from chassis.key_value import KeyValue
from chassis.leases import Lease
from chassis.outbox import Outbox
from chassis.service import Service, migrate_main, run_main
from vpn import consumers, rpc
from vpn.adapters import files
from vpn.adapters.files import Catalogue
from vpn.adapters.nodes.agent import AgentNode
from vpn.adapters.nodes.memory import MemoryNode
from vpn.adapters.nodes.tls import TlsFiles
from vpn.adapters.nodes.xray_grpc import XrayGrpcNode
from vpn.adapters.postgres_desired import DesiredReads, PostgresDesired
from vpn.adapters.postgres_extensions import PostgresExtensions
from vpn.adapters.postgres_nodes import NodeKeeping, PostgresNodes
from vpn.adapters.postgres_reads import PostgresReads
from vpn.adapters.postgres_subscriptions import PostgresGrants, PostgresSubscriptions
from vpn.adapters.postgres_traffic import PostgresTraffic
from vpn.domain.access import Credentials
from vpn.domain.links import Shop
from vpn.handlers.count_traffic import count_devices, count_traffic
from vpn.jobs import sweeps
from vpn.jobs.alarms import Alarms
from vpn.jobs.counting import Counting
from vpn.jobs.fleet import Fleet
from vpn.jobs.keeper import Keeper, Watch
from vpn.jobs.line import Line
from vpn.jobs.pushing import Pushing
from vpn.jobs.sweeps import Soon
from vpn.ports import Books, Wake, Wakes
from vpn.ports.nodes import NodeDriver
from vpn.ports.registry import MEMORY, XRAY_GRPC, NodeConfig
from vpn.settings import Settings
from vpn.webhooks import SubscriptionLinks

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "vpn"
LINK_BYTES = 24
"""32 characters of a URL's alphabet."""
REST_LOOKS = 30
"""A node that is off is looked at so many times less often."""


@dataclass(frozen=True, slots=True)
class Vpn:
    """Everything the process runs, wired."""

    subscriptions: tuple[Subscription, ...]
    answers: tuple[rpc.Answer, ...]
    sweeps: tuple[Soon, ...]
    fleet: Fleet
    keepers: tuple[Keeper, ...]
    countings: tuple[Counting, ...]
    drivers: tuple[NodeDriver, ...]
    nodes: tuple[NodeConfig, ...]
    keeping: NodeKeeping
    links: SubscriptionLinks | None
    books: Books
    catalogue: Catalogue


def make_credentials() -> Credentials:
    """A random key, for version 4 leaves bytes 6 and 7 to nobody, and a link nobody can guess."""
    return Credentials(uuid4(), secrets.token_urlsafe(LINK_BYTES))


def postgres_books(wake: Wake) -> Books:
    return Books(
        PostgresSubscriptions(),
        PostgresGrants(),
        PostgresDesired(),
        PostgresExtensions(),
        PostgresNodes(),
        make_credentials,
        wake,
    )


def build(
    settings: Settings,
    outbox: Outbox,
    background: Background,
    *,
    catalogue: Catalogue | None = None,
    nodes: Sequence[NodeConfig] | None = None,
    drivers: Mapping[str, NodeDriver] | None = None,
) -> Vpn:
    """Wire the service; what is given replaces the real part. Raises ConfigurationError."""
    database, clock = outbox.database, outbox.clock
    terms = settings.terms
    sold = catalogue or files.load_plans(settings.catalogue_dir)
    found = _nodes(settings, sold) if nodes is None else tuple(nodes)
    by_name = {each.name: each for each in found}
    fleet = Fleet(outbox.broker)
    books = postgres_books(fleet.push)
    desired, keeping = DesiredReads(database), NodeKeeping(database)
    reads = PostgresReads(database, by_name, terms, clock)
    made = drivers or {each.name: _driver(each, settings, clock) for each in found}
    keepers = tuple(_keeper(each, made[each.name], outbox, background, settings) for each in found)
    countings = tuple(_counting(each, outbox, books, settings) for each in keepers)
    fleet.add(keepers, countings)
    swept = sweeps.table(
        outbox,
        books=books,
        pages=PostgresExtensions(),
        desired=desired,
        keeping=keeping,
        terms=terms,
    )
    periods = {
        "tell-rotations": settings.look_every,
        "forget-removals": settings.reconcile_every,
    }
    soon = {
        name: Soon(name, work, periods.get(name, settings.sweep_every))
        for name, work in swept.items()
    }
    for keeper in keepers:
        keeper.pushing.on_confirmed = soon["tell-rotations"].ask
    wakes = Wakes(fleet.check, fleet.reconcile, fleet.dry_run, soon["extend-everybody"].ask)
    return Vpn(
        consumers.table(books=books, wakes=wakes, catalogue=sold.plans, terms=terms),
        rpc.table(
            reads=reads,
            node_reads=keeping,
            desired=desired,
            nodes=by_name,
            regions=sold.regions,
            base_url=settings.links_url,
        ),
        tuple(soon.values()),
        fleet,
        keepers,
        countings,
        tuple(made.values()),
        found,
        keeping,
        _links(settings, reads, clock, sold),
        books,
        sold,
    )


def _nodes(settings: Settings, sold: Catalogue) -> tuple[NodeConfig, ...]:
    if settings.nodes_file is None:
        return ()
    return files.load_nodes(settings.nodes_file, sold.regions)


def _driver(node: NodeConfig, settings: Settings, clock: Clock) -> NodeDriver:
    if node.driver == MEMORY:
        return MemoryNode(node.name, clock)
    if node.driver == XRAY_GRPC:
        return XrayGrpcNode(node.name, node.url, node.inbound, clock)
    certificate, key, ca = settings.nodes_certificate, settings.nodes_key, settings.nodes_ca
    if certificate is None or key is None or ca is None:
        raise ConfigurationError(f"nodes.{node.name}: an agent needs nodes_certificate, _key, _ca")
    return AgentNode(node.name, node.url, TlsFiles(certificate, key, ca), clock)


def _keeper(
    node: NodeConfig,
    driver: NodeDriver,
    outbox: Outbox,
    background: Background,
    settings: Settings,
) -> Keeper:
    line = Line(node, driver)
    alarms = Alarms(outbox, node.name)
    keeping, desired = NodeKeeping(outbox.database), DesiredReads(outbox.database)
    pushing = Pushing(line, desired, keeping, alarms, clock=outbox.clock, caps=settings.caps)
    lease = Lease(KeyValue(outbox.broker, "leases"), f"vpn.node.{node.name}", "vpn")
    watch = Watch(
        look_every=settings.look_every,
        drift_window=settings.drift_window,
        down_after=settings.node_down_after,
        reconcile_every=settings.reconcile_every,
        list_every=settings.list_every,
        rest_every=REST_LOOKS * settings.look_every,
    )
    return Keeper(
        line,
        pushing,
        keeping,
        alarms,
        lease,
        clock=outbox.clock,
        background=background,
        watch=watch,
    )


def _counting(keeper: Keeper, outbox: Outbox, books: Books, settings: Settings) -> Counting:
    parts = partial(partial, books=books, traffic=PostgresTraffic(), terms=settings.terms)
    return Counting(
        keeper,
        outbox,
        traffic=parts(count_traffic),
        devices=parts(count_devices),
        every=settings.traffic_every,
        rows_max=settings.sweep_rows_max,
    )


def _links(
    settings: Settings, reads: PostgresReads, clock: Clock, sold: Catalogue
) -> SubscriptionLinks | None:
    if settings.links_port is None:
        return None
    shop = Shop(
        title=settings.links_title,
        base_url=settings.links_url,
        support_url=settings.links_support_url,
        announce=settings.links_announce,
        update_hours=settings.links_update_hours,
        xray_json=settings.links_xray_json,
    )
    return SubscriptionLinks(
        reads,
        shop,
        clock=clock,
        titles=sold.titles,
        host=settings.links_host,
        port=settings.links_port,
        proxies=Proxies(settings.links_trusted_header, networks(settings.links_trusted_proxies)),
    )


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    async with Service.start("vpn", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        background = service.background
        built = build(settings, outbox, background)
        await built.keeping.register(built.nodes)
        await sweeps.apply_plans(
            outbox, built.catalogue.plans, books=built.books, terms=settings.terms
        )
        await sweeps.apply_grace(outbox, books=built.books, terms=settings.terms)
        await start(built, background)
        service.on_stop(partial(stop, built))
        service.consume(outbox, *built.subscriptions)
        for request, handler in built.answers:
            service.answer(request.subject, request, handler)
        metrics.gauge("vitrine.vpn.behind", lambda: built.fleet.behind)
        metrics.gauge("vitrine.vpn.nodes.down", lambda: built.fleet.down)
        metrics.gauge(
            "vitrine.vpn.certificate_days_left",
            lambda: built.fleet.certificate_days_left(outbox.clock.now()),
            unit="d",
        )
        try:
            await service.until_stopped()
        finally:
            for driver in built.drivers:
                await driver.close()


async def start(built: Vpn, background: Background) -> None:
    """Start what runs beside the consumers."""
    background.supervise(partial(built.fleet.run, background), name="fleet")
    for keeper in built.keepers:
        background.supervise(keeper.run, name=f"node {keeper.node}")
    for counting in built.countings:
        background.supervise(partial(counting.run, background), name="traffic")
    for sweep in built.sweeps:
        background.spawn(sweep.run(background.stopping), name=sweep.name)
    if built.links is not None:
        await built.links.start()


async def stop(built: Vpn) -> None:
    """End at once what waits for its turn; what is at work ends by itself."""
    await built.fleet.stop()
    for sweep in built.sweeps:
        sweep.ask()
    if built.links is not None:
        await built.links.stop()


def main() -> None:
    run_main(run, Settings)


def migrate() -> None:
    migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
