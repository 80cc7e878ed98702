"""The process as it is started: wired from its settings, ready, firing, stopped."""

from datetime import timedelta

import pytest

from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.migrations import migrate
from chassis.testing import drain
from contracts.billing import RenewTrials
from contracts.envelope import Headers
from contracts.ids import MessageId
from contracts.scheduler import ScheduleTimer
from devstack.testing import running_service
from scheduler.adapters.postgres import PostgresTimers
from scheduler.consumers import table
from scheduler.jobs import tick_command
from scheduler.main import MIGRATIONS, SCHEMA, pace_of
from scheduler.settings import Settings


def test_every_route_is_a_command_of_this_service():
    [subscription] = table(PostgresTimers())

    assert (subscription.stream, subscription.consumer) == ("SCHEDULER", "scheduler")
    assert all(route.message.subject.startswith("scheduler.cmd.") for route in subscription.routes)


def test_every_tick_of_the_settings_has_its_command():
    pace = pace_of(Settings(database_url="unused", run_audit_every=timedelta(minutes=7)))
    now = SystemClock().now()

    subjects = {tick_command(name, now).subject for name in pace.ticks}

    assert len(subjects) == len(pace.ticks) == 5
    assert pace.ticks["run_audit"] == timedelta(minutes=7)


async def test_the_process_becomes_ready_fires_a_timer_and_stops(database_dsn, nats_url):
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    due_at = SystemClock().now()
    timer = ScheduleTimer(
        key="k",
        version=1,
        due_at=due_at,
        fire_subject=RenewTrials.subject,
        fire_body=RenewTrials(due_at=due_at).encode(),
    )

    async def fired() -> bool:
        async with database.read() as connection:
            return await connection.fetchval(
                "SELECT count(*) = 1 FROM outbox WHERE subject = $1 AND published_at IS NOT NULL",
                RenewTrials.subject,
            )

    async with running_service(
        "scheduler", {"database_url": database_dsn, "nats_url": nats_url}
    ) as process:
        wire = Headers(id=MessageId(new_id())).to_wire()
        await broker.publish(timer.subject, timer.encode(), wire)
        await drain(fired, what="the firing")
        async with database.read() as connection:
            ticks = await connection.fetch("SELECT name FROM ticks ORDER BY name")
    await database.close()
    await broker.close()

    assert process.returncode == 0
    assert [row["name"] for row in ticks] == [
        "read_stars_statement",
        "renew_trials",
        "run_audit",
        "sweep_media",
        "watch_payments",
    ]
