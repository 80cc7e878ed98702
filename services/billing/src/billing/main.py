"""The composition root of billing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from billing import consumers, jobs, rpc
from billing.adapters.audit import PostgresAuditor
from billing.adapters.job_queues import JobQueues
from billing.adapters.postgres_accounts import PostgresAccounts, PostgresGrants
from billing.adapters.postgres_orders import PostgresOrders, PostgresQuotas
from billing.adapters.postgres_reads import PostgresReads
from billing.domain.pace import Pace
from billing.ports import Auditor, Books, Queues, Reads
from billing.settings import Settings
from chassis import metrics
from chassis.consumers import Subscription
from chassis.effects import EffectKind
from chassis.errors import ConfigurationError
from chassis.outbox import Outbox
from chassis.service import Service, migrate_main, run_main
from contracts import catalogue
from contracts.catalogue import CatalogueError, Workflow

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "billing"
FIRST_SAMPLE_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Billing:
    """Everything the process runs, wired."""

    subscriptions: tuple[Subscription, ...]
    answers: tuple[rpc.Answer, ...]
    sweeps: dict[str, tuple[timedelta, jobs.Sweep]]
    effects: dict[str, EffectKind]
    queues: Queues


def postgres_books() -> Books:
    return Books(PostgresAccounts(), PostgresOrders(), PostgresQuotas(), PostgresGrants())


def build(
    settings: Settings,
    outbox: Outbox,
    *,
    workflows: Mapping[str, Workflow] | None = None,
    books: Books | None = None,
    queues: Queues | None = None,
    reads: Reads | None = None,
    auditor: Auditor | None = None,
) -> Billing:
    """Wire the service; what is given replaces the real part. Raises ConfigurationError."""
    database, clock, terms = outbox.database, outbox.clock, settings.terms
    workflows = workflows if workflows is not None else _catalogue(settings)
    expected = {name: workflow.expected_seconds for name, workflow in workflows.items()}
    pace = Pace(expected, seen_within=settings.servers_seen_within)
    books = books or postgres_books()
    sampled = JobQueues(
        outbox.broker,
        database,
        clock,
        queue_max=settings.queue_max,
        outbox_age_max=settings.outbox_age_max,
    )
    metrics.gauge("vitrine.billing.oldest_hold", sampled.hold_age_seconds, unit="s")
    found = jobs.sweeps(outbox, books=books, terms=terms)
    return Billing(
        consumers.table(
            books=books,
            queues=queues or sampled,
            pace=pace,
            catalogue=workflows,
            terms=terms,
        ),
        rpc.table(
            reads=reads or PostgresReads(database),
            clock=clock,
            pace=pace,
            catalogue=workflows,
            terms=terms,
            history_page_max=settings.history_page_max,
        ),
        {
            "sample-queues": (settings.queue_sample_every, sampled.sample),
            "expire-holds": (settings.expire_holds_every, found["expire-holds"]),
            "expire-lots": (settings.expire_lots_every, found["expire-lots"]),
            "ask-deliveries": (settings.ask_deliveries_every, found["ask-deliveries"]),
        },
        jobs.effects(auditor or PostgresAuditor(database)),
        queues or sampled,
    )


def _catalogue(settings: Settings) -> Mapping[str, Workflow]:
    try:
        return catalogue.load(settings.catalogue_dir)
    except CatalogueError as error:
        raise ConfigurationError(str(error)) from error


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    async with Service.start("billing", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        built = build(settings, outbox)
        background = service.background
        for name, (period, work) in built.sweeps.items():
            service.spawn(background.every(period, work, name=name), name=name)
        # Nothing is accepted blindly: the first sample says how full the queues are.
        while not (built.queues.sampled or background.stopping.is_set()):
            await background.pause(FIRST_SAMPLE_POLL_SECONDS)
        service.consume(outbox, *built.subscriptions)
        service.carry_out(outbox, built.effects)
        for request, handler in built.answers:
            service.answer(request.subject, request, handler)
        await service.until_stopped()


def main() -> None:
    run_main(run, Settings)


def migrate() -> None:
    migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
