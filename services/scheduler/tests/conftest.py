"""A scheduler's database, broker and outbox, without the process around them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chassis import bootstrap, migrations
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Outbox
from scheduler.main import MIGRATIONS


@pytest.fixture
async def outbox(database_dsn: str, nats_url: str) -> AsyncIterator[Outbox]:
    await migrations.migrate(database_dsn, schema="scheduler", folder=MIGRATIONS)
    broker = await Broker.connect(nats_url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    database = await Database.connect(database_dsn, schema="scheduler")
    outbox = Outbox(database, broker, SystemClock())
    await outbox.partitions.maintain()
    background = Background()
    background.spawn(outbox.run_publisher(), name="publisher")
    yield outbox
    outbox.stop()
    await background.stop(timedelta(seconds=5))
    await database.close()
    await broker.close()
