"""A schema with the runtime's tables and one table of the test's own, and a broker with streams."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from chassis import bootstrap, migrations
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database
from chassis.outbox import Outbox

SCHEMA = "toy"
STREAMS = ("BILLING", "JOBS", "EVENTS", "DEAD")
"""What the tests here publish to: all the others take longer to make than most tests."""


@pytest.fixture
def toy_migrations(tmp_path: Path) -> Path:
    up = tmp_path / "0001_pre_toy.up.sql"
    up.write_text("CREATE TABLE done (id uuid, key text, at timestamptz DEFAULT clock_timestamp())")
    (tmp_path / "0001_pre_toy.down.sql").write_text("DROP TABLE done")
    return tmp_path


@pytest.fixture
async def database(database_dsn: str, toy_migrations: Path) -> AsyncIterator[Database]:
    await migrations.migrate(database_dsn, schema=SCHEMA, folder=toy_migrations)
    database = await Database.connect(database_dsn, schema=SCHEMA)
    yield database
    await database.close()


@pytest.fixture
async def broker(nats_url: str) -> AsyncIterator[Broker]:
    fatal: list[str] = []
    broker = await Broker.connect(nats_url, name="test", on_fatal=fatal.append)
    await bootstrap.apply(broker, only=STREAMS)
    yield broker
    await broker.close()
    assert not fatal


@pytest.fixture
async def outbox(database: Database, broker: Broker) -> AsyncIterator[Outbox]:
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    background = Background()
    background.spawn(outbox.run_publisher(), name="publisher")
    yield outbox
    outbox.stop()
    await background.stop(timedelta(seconds=5))


@pytest.fixture
async def consume(outbox: Outbox) -> AsyncIterator[Callable[..., ExactlyOnce]]:
    """Start a consumer of the BILLING stream with the given routes."""
    background = Background()
    started: list[ExactlyOnce] = []

    def start(*routes: Route, **options: object) -> ExactlyOnce:
        subscription = Subscription(stream="BILLING", consumer="billing", routes=routes, **options)
        consumer = ExactlyOnce("billing", outbox, subscription)
        background.spawn(consumer.run(), name="consumer")
        started.append(consumer)
        return consumer

    yield start
    for each in started:
        await each.stop()
    await background.stop(timedelta(seconds=5))
    assert background.failure is None
