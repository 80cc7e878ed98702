"""A scheduler's database, broker and outbox, without the process around them."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from chassis import bootstrap
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Outbox
from devstack.testing import DatabaseServer, empty_database, migrated_database
from scheduler.main import MIGRATIONS, SCHEMA

STREAMS = ("GATEWAY", "BILLING", "GENERATOR", "VPN", "SCHEDULER")
"""What timers are fired into: all the others take longer to make than most tests."""


@pytest.fixture(scope="session")
def migrated_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """One migrated database for all of the scheduler's tests."""
    with migrated_database(postgres_server, SCHEMA, MIGRATIONS) as dsn:
        yield dsn


@pytest.fixture
async def database_dsn(migrated_dsn: str) -> str:
    """The migrated database without a row."""
    await empty_database(migrated_dsn, SCHEMA)
    return migrated_dsn


@pytest.fixture
async def outbox(database_dsn: str, nats_url: str) -> AsyncIterator[Outbox]:
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker, only=STREAMS)
    database = await Database.connect(database_dsn, schema=SCHEMA)
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    background = Background()
    background.spawn(outbox.run_publisher(), name="publisher")
    yield outbox
    outbox.stop()
    await background.stop(timedelta(seconds=5))
    await database.close()
    await broker.close()
