"""A database written by the release of «The Spine» becomes today's, and its books still agree.

`data/spine.sql.gz` is pg_dump's text of a platform on which four people came, one was granted
credits, one got Black Gold, and six orders were made and delivered.
"""

import gzip
from pathlib import Path

import asyncpg
import pytest

from billing.adapters.audit import PostgresAuditor
from billing.adapters.seals import Seals, broken_seals
from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Outbox
from devstack.postgres import postgres_binaries
from vitrine_tools.schemas import SERVICES, committed, dump

DUMP = Path(__file__).with_name("data") / "spine.sql.gz"
BALANCES = (
    "SELECT user_id, available, held, debt, tier, tier_until FROM billing.accounts ORDER BY user_id"
)
TRANSFERS = (
    "SELECT user_id, number, amount, debit, credit, kind FROM billing.transfers ORDER BY 1, 2"
)


@pytest.fixture
async def old(database_dsn: str) -> str:
    """The old release's database, as it was left."""
    lines = gzip.decompress(DUMP.read_bytes()).decode().splitlines()
    connection = await asyncpg.connect(database_dsn)
    # psql's own commands, of which pg_dump writes two, are none of the server's.
    await connection.execute("\n".join(line for line in lines if not line.startswith("\\")))
    await connection.close()
    return database_dsn


async def asked(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_every_schema_becomes_todays_and_nobody_gains_or_loses(old: str) -> None:
    before = [await asked(old, query) for query in (BALANCES, TRANSFERS)]

    schemas = {name: await dump(name, old, postgres_binaries() / "pg_dump") for name in SERVICES}

    assert schemas == {name: committed(name).read_text() for name in SERVICES}
    assert [await asked(old, query) for query in (BALANCES, TRANSFERS)] == before
    assert len(before[0]) == 4
    assert len(before[1]) == 11


async def test_the_audit_is_clean_and_the_old_rows_are_sealed(old: str, nats_url: str) -> None:
    await dump("billing", old, postgres_binaries() / "pg_dump")
    broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(broker, only=["KV_seals"])
    database = await Database.connect(old, schema="billing", pool_max=2)
    seals = Seals(Outbox(database, broker, SystemClock()))
    await seals.seal()

    report = await PostgresAuditor(database, seals.kept).audit()

    assert report.healthy, report.lines()
    assert (await seals.head()).number > 0
    assert await broken_seals(database, await seals.kept()) == ()
    await database.close()
    await broker.close()
