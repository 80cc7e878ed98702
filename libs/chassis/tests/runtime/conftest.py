"""A schema with the runtime's tables and one table of the test's own, and a broker with streams."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import bootstrap, migrations, signatures, signing_keys
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.testing import drain, signatures_of
from contracts import billing
from contracts.envelope import HEADER_ID
from contracts.producers import PARTIES

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
    broker = await Broker.connect(
        nats_url, name="test", on_fatal=fatal.append, signatures=signatures.OFF
    )
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


async def record(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.grant_key)


async def record_tier(command: billing.SetTier, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.tier)


RECORDING = (
    Route(message=billing.GrantCredits, handler=record),
    Route(message=billing.SetTier, handler=record_tier),
)


@pytest.fixture
async def consume(outbox: Outbox) -> AsyncIterator[Callable[..., ExactlyOnce]]:
    """Start a consumer of the BILLING stream with the given routes, or those that record."""
    background = Background()
    started: list[ExactlyOnce] = []

    def start(*routes: Route, **options: object) -> ExactlyOnce:
        subscription = Subscription(
            stream="BILLING", consumer="billing", routes=routes or RECORDING, **options
        )
        consumer = ExactlyOnce("billing", outbox, subscription)
        background.spawn(consumer.run(), name="consumer")
        started.append(consumer)
        return consumer

    yield start
    for each in started:
        await each.stop()
    await background.stop(timedelta(seconds=5))
    assert background.failure is None


# For messages that are signed: a test file says `broker` is `signing_broker`.

PROBE = "billing.cmd.probe.v1"


class Tables:
    """What came of messages: rows of the test's own table, and of `parked`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def done(self) -> list[str]:
        rows = await self._rows("SELECT key FROM done ORDER BY at")
        return [row["key"] for row in rows]

    async def refused(self) -> list[Any]:
        """What was parked, the probes of `forget_ids` left out."""
        return await self._rows(
            f"SELECT * FROM parked WHERE subject <> '{PROBE}' ORDER BY parked_at"
        )

    async def until(self, *, handled: int = 0, parked: int = 0) -> None:
        async def reached() -> bool:
            return len(await self.done()) >= handled and len(await self.refused()) >= parked

        await drain(reached, what=f"{handled} handled and {parked} parked")

    async def _rows(self, query: str) -> list[Any]:
        async with self._database.read() as connection:
            return list(await connection.fetch(query))


@pytest.fixture
def tables(database: Database) -> Tables:
    return Tables(database)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    signing_keys.ensure(tmp_path / "keys", PARTIES)
    return tmp_path / "keys"


@pytest.fixture
async def signing_broker(nats_url: str, keys: Path) -> AsyncIterator[Broker]:
    """Billing's own connection: it requires signatures."""
    signing = signatures_of(keys, "billing")
    signing.key_wait, signing.key_waits_max = timedelta(seconds=0.1), 3
    broker = await Broker.connect(
        nats_url, name="billing", on_fatal=pytest.fail, signatures=signing
    )
    await bootstrap.apply(broker, only=STREAMS)
    yield broker
    await broker.close()


@pytest.fixture
async def connected(nats_url: str, keys: Path) -> AsyncIterator[Callable[[str], Awaitable[Broker]]]:
    """Connect as somebody; "" has no key at all."""
    async with AsyncExitStack() as stack:

        async def connect(party: str) -> Broker:
            signing = signatures_of(keys, party) if party else None
            broker = await Broker.connect(
                nats_url, name=party or "stranger", on_fatal=pytest.fail, signatures=signing
            )
            stack.push_async_callback(broker.close)
            return broker

        yield connect


@pytest.fixture
async def stranger(connected: Callable[[str], Awaitable[Broker]]) -> Broker:
    return await connected("")


@pytest.fixture
async def forget_ids(broker: Broker, stranger: Broker) -> Callable[[], Awaitable[None]]:
    """Let the server forget which ids it has seen, as it does after ten minutes."""
    config = (await broker.api("STREAM.INFO.BILLING"))["config"]
    # Before there is an id: of one that it has it knows already when to forget it.
    await broker.api("STREAM.UPDATE.BILLING", config | {"duplicate_window": 100_000_000})

    async def forget() -> None:
        probe = {HEADER_ID: str(new_id())}
        await stranger.publish(PROBE, b"", probe)

        async def forgotten() -> bool:
            return not (await stranger.publish(PROBE, b"", probe)).duplicate

        await drain(forgotten, what="the window has passed")

    return forget
