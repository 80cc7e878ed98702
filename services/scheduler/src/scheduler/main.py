"""The composition root of the scheduler."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from chassis import metrics
from chassis.errors import ConfigurationError
from chassis.service import Service, migrate_main, run_main
from contracts.scheduler import CATCH_UP_FIRE
from scheduler import consumers
from scheduler.adapters.postgres import PostgresTimers
from scheduler.domain import ticks
from scheduler.domain.timers import KindTerms
from scheduler.jobs import Firing, Pace
from scheduler.settings import Settings

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SCHEMA = "scheduler"
FORGET_EVERY = timedelta(hours=1)


def pace_of(settings: Settings) -> Pace:
    """Return what the settings say about firing; a tick's setting is its name and `_every`."""
    unknown = set(settings.tick_catch_up) - set(ticks.KINDS)
    if unknown:
        raise ConfigurationError(f"tick_catch_up: no tick is called {', '.join(sorted(unknown))}")
    periods = {name: getattr(settings, f"{name}_every") for name in ticks.KINDS}
    return Pace(
        fire_batch_max=settings.fire_batch_max,
        gather=settings.gather,
        idle_wait=settings.idle_wait,
        keep_ended=settings.keep_ended,
        ticks={
            name: ticks.Terms(every=every, catch_up=settings.tick_catch_up.get(name, CATCH_UP_FIRE))
            for name, every in periods.items()
            if every
        },
        kinds={name: KindTerms(**kind.model_dump()) for name, kind in settings.kinds.items()},
    )


async def run(settings: Settings) -> None:
    """Run the service until it is stopped."""
    pace = pace_of(settings)
    async with Service.start("scheduler", settings) as service:
        database = await service.database(schema=SCHEMA, folder=MIGRATIONS)
        outbox = await service.outbox(database)
        store = PostgresTimers()
        firing = Firing(outbox, store, pace)
        service.consume(outbox, *consumers.table(store, kinds=pace.kinds, wake=firing.wake))
        metrics.gauge("vitrine.timers.overdue", lambda: firing.overdue_seconds, unit="s")
        service.on_stop(firing.stop)
        service.spawn(firing.run(), name="firing")
        service.spawn(
            service.background.every(FORGET_EVERY, firing.forget_ended, name="forget"),
            name="forget",
        )
        await service.until_stopped()


def main() -> None:
    """Run the service."""
    run_main(run, Settings)


def migrate() -> None:
    migrate_main(Settings, schema=SCHEMA, folder=MIGRATIONS)
