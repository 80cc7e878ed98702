"""The process as it is started: wired from its settings, ready, firing, stopped."""

import sys
from asyncio import create_subprocess_exec, subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from chassis import bootstrap
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.database import Database
from chassis.errors import ConfigurationError
from chassis.migrations import migrate
from chassis.testing import drain
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from contracts.scheduler import CancelTimer, TimerRejected
from devstack.testing import running_service
from scheduler.adapters.postgres import PostgresTimers
from scheduler.consumers import table
from scheduler.domain import ticks
from scheduler.main import MIGRATIONS, SCHEMA, pace_of
from scheduler.settings import Settings
from scheduler.testing import FIRE, timer

# What is due is to be found by being woken: by itself this one would look much later.
SLEEPY: dict[str, object] = {
    "idle_wait": 2,
    "gather": 0.001,
    **{f"{tick}_every": 86_400 for tick in ticks.KINDS},
}


def test_every_route_is_a_command_of_this_service() -> None:
    [subscription] = table(PostgresTimers(), kinds={}, wake=lambda: None)

    assert (subscription.stream, subscription.consumer) == ("SCHEDULER", "scheduler")
    assert all(route.message.subject.startswith("scheduler.cmd.") for route in subscription.routes)
    assert len({id(route.handler) for route in subscription.routes}) == 1


def test_the_settings_say_what_recurs_and_how_fast_kinds_fire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "DATABASE_URL": "unused",
        "RUN_AUDIT_EVERY": "420",
        "CHECK_NODES_EVERY": "0",
        "KINDS": '{"vpn.reminder": {"per_second": 50, "catch_up": "skip", "late_max_seconds": 9}}',
        "TICK_CATCH_UP": '{"send_reminders": "skip"}',
    }.items():
        monkeypatch.setenv(f"SCHEDULER_{name}", value)

    pace = pace_of(Settings())

    assert pace.ticks["run_audit"].every == timedelta(minutes=7)
    assert "check_nodes" not in pace.ticks
    assert pace.ticks["send_reminders"].catch_up == "skip"
    assert pace.limits == {"vpn.reminder": 50.0}
    assert pace.kinds["vpn.reminder"].late_max_seconds == 9


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": {"k": {"per_minute": 1}}},
        {"kinds": {"k": {"catch_up": "coalesce"}}},
        {"tick_catch_up": {"run_audit": "later"}},
        {"keep_ended": timedelta(days=30)},
        {"run_audit_every": timedelta(seconds=-1)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(database_url="unused", **wrong)


def test_a_tick_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="run_audits"):
        pace_of(Settings(database_url="unused", tick_catch_up={"run_audits": "skip"}))


@pytest.fixture
async def broker(database_dsn: str, nats_url: str) -> AsyncIterator[Broker]:
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker)
    yield broker
    await broker.close()


@pytest.fixture
async def database(broker: Broker, database_dsn: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_dsn, schema=SCHEMA, pool_max=2)
    yield database
    await database.close()


async def tell(broker: Broker, *messages: Message) -> None:
    sent = [
        OutgoingMessage(each.subject, each.encode(), Headers(id=MessageId(new_id())).to_wire())
        for each in messages
    ]
    assert all(await broker.publish_all(sent))


async def test_the_process_fires_what_is_set_meanwhile_at_once_and_stops(
    database: Database, broker: Broker, database_dsn: str, nats_url: str
) -> None:
    """One after the other: a loop that is not woken is two seconds late each time.

    A busy machine delays this one and that; the quickest tells whether the loop was woken.
    """
    keys = [f"now{number}" for number in range(5)]

    async def published(key: str) -> bool:
        async with database.read() as connection:
            return await connection.fetchval(
                "SELECT count(*) = 1 FROM outbox WHERE convert_from(body, 'UTF8') = $1 "
                "AND published_at IS NOT NULL",
                f"{key}:1",
            )

    settings = {"database_url": database_dsn, "nats_url": nats_url, **SLEEPY}
    async with running_service("scheduler", settings) as process:
        await tell(broker, timer(key="gone"), CancelTimer(key="gone", version=1))
        for key in keys:
            await tell(broker, timer(key=key))
            await drain(partial(published, key), what=f"{key} is fired")
        await tell(broker, timer(key="soon", due_in=1.0), timer(key="later", due_in=900))
        await drain(partial(published, "soon"), what="what was due soon")
    async with database.read() as connection:
        rows = await connection.fetch("SELECT key, state FROM timers")
        names = await connection.fetch("SELECT name FROM ticks")
        late = await connection.fetch(
            "SELECT key, extract(epoch FROM changed_at - due_at)::float8 AS seconds FROM timers "
            "WHERE state = 'fired'"
        )

    assert process.returncode == 0
    assert {row["key"]: row["state"] for row in rows} == {
        **dict.fromkeys([*keys, "soon"], "fired"),
        "gone": "cancelled",
        "later": "armed",
    }
    assert {each["name"] for each in names} == set(ticks.KINDS)
    assert min(each["seconds"] for each in late) >= 0
    assert min(each["seconds"] for each in late if each["key"] in keys[1:]) < 1.0


async def test_a_bad_timer_is_told_and_stops_no_other_of_its_batch(
    database: Database, broker: Broker, database_dsn: str, nats_url: str
) -> None:
    await tell(
        broker,
        timer(key="before"),
        timer(3, key="lost", time_zone="Mars/Olympus"),
        timer(key="elsewhere", fire_subject="elsewhere.cmd.x.v1"),
        CancelTimer(key="", version=1),
        timer(key="after"),
    )

    async def fired() -> bool:
        async with database.read() as connection:
            return await connection.fetchval(
                "SELECT count(*) = 2 FROM outbox WHERE subject = $1", FIRE
            )

    settings = {"database_url": database_dsn, "nats_url": nats_url, **SLEEPY}
    async with running_service("scheduler", settings):
        await drain(fired, what="both good ones")
        async with database.read() as connection:
            rows = await connection.fetch(
                "SELECT body FROM outbox WHERE subject = $1 ORDER BY id", TimerRejected.subject
            )
            assert await connection.fetchval("SELECT count(*) FROM parked") == 0

    told = [TimerRejected.decode(row["body"]) for row in rows]
    assert [(each.key, each.version, each.code) for each in told] == [
        ("lost", 3, "invalid"),
        ("elsewhere", 1, "invalid"),
        ("", 1, "invalid"),
    ]
    assert told[0].reason == "the time zone is not an IANA name"


async def test_the_command_line_is_that_of_the_process(
    database: Database, database_dsn: str
) -> None:
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "scheduler", "list", "--json"),
        env={"SCHEDULER_DATABASE_URL": database_dsn},
        stdout=subprocess.PIPE,
    )

    output, _ = await process.communicate()

    assert process.returncode == 0
    assert b'"timers": []' in output
