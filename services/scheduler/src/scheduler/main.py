"""The composition root of the scheduler."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from chassis.service import Service, migrate_main, run_main
from scheduler import consumers
from scheduler.adapters.postgres import PostgresTimers
from scheduler.jobs import Firing, Pace
from scheduler.settings import Settings

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "scheduler"
FORGET_EVERY = timedelta(hours=6)


def pace_of(settings: Settings) -> Pace:
    """Return what the settings say about firing; a tick's name is that of its command."""
    return Pace(
        fire_batch_max=settings.fire_batch_max,
        idle_wait=settings.idle_wait,
        keep_ended=settings.keep_ended,
        ticks={
            "renew_trials": settings.renew_trials_every,
            "run_audit": settings.run_audit_every,
            "sweep_media": settings.sweep_media_every,
            "watch_payments": settings.watch_payments_every,
            "read_stars_statement": settings.read_stars_statement_every,
        },
    )


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    async with Service.start("scheduler", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        store = PostgresTimers()
        firing = Firing(outbox, store, pace_of(settings))
        service.consume(outbox, *consumers.table(store))
        background = service.background
        service.spawn(firing.run(background.stopping), name="firing")
        service.spawn(
            background.every(FORGET_EVERY, firing.forget_ended, name="forget"), name="forget"
        )
        await service.until_stopped()


def main() -> None:
    """Run `scheduler` or `scheduler migrate`."""
    if sys.argv[1:] == ["migrate"]:
        migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
    else:
        run_main(run, Settings)
