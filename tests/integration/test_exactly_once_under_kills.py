"""Workers, nats-server and Postgres are killed -9 in turn; every command takes effect once."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.errors import TransientError
from chassis.partitions import Partitions
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId
from devstack.nats_server import NatsServer
from devstack.postgres import Postgres
from devstack.testing import private_nats, private_postgres

COMMANDS = 1_500
KILLS = 10
WORKERS = 2
WORKER = Path(__file__).with_name("toy_worker.py")


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Postgres, NatsServer]]:
    async with private_postgres() as postgres, private_nats() as nats:
        yield postgres, nats


async def prepare(dsn: str, url: str, folder: Path) -> Broker:
    (folder / "0001_pre_toy.up.sql").write_text("CREATE TABLE done (id uuid, key text)")
    (folder / "0001_pre_toy.down.sql").write_text("DROP TABLE done")
    await migrations.migrate(dsn, schema="toy", folder=folder)
    database = await Database.connect(dsn, schema="toy")
    await Partitions(database, SystemClock()).maintain()
    await database.close()
    broker = await Broker.connect(url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    return broker


async def publish_all(broker: Broker) -> None:
    """Publish every command, each under one id however often it has to be sent."""
    left = []
    for index in range(COMMANDS):
        command = billing.GrantCredits(
            grant_key=f"k{index}", user_id=1, credits=1, reason="t", actor="t"
        )
        headers = Headers(id=MessageId(new_id())).to_wire()
        left.append(OutgoingMessage(command.subject, command.encode(), headers))
    while left:
        chunk = left[:50]
        stored = await broker.publish_all(chunk)
        left = [m for m, ok in zip(chunk, stored, strict=True) if not ok] + left[50:]


async def start_worker(dsn: str, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), dsn, url, stdout=asyncio.subprocess.DEVNULL
    )


async def kill_in_turn(
    workers: list[asyncio.subprocess.Process],
    dsn: str,
    url: str,
    servers: tuple[Postgres, NatsServer],
    seed: int,
) -> None:
    chance = random.Random(seed)
    postgres, nats = servers
    for turn in range(KILLS):
        await asyncio.sleep(chance.uniform(0.1, 0.6))  # the moment of the kill is the test
        if turn % 5 == 3:
            await nats.kill()
            await nats.start()
        elif turn % 5 == 4:
            await postgres.kill()
            await postgres.start()
        else:
            index = chance.randrange(len(workers))
            workers[index].kill()
            await workers[index].wait()
            workers[index] = await start_worker(dsn, url)


@pytest.mark.timeout(180)
async def test_every_command_takes_effect_once(
    servers: tuple[Postgres, NatsServer], tmp_path: Path
) -> None:
    postgres, nats = servers
    dsn, url = postgres.dsn(), nats.url
    broker = await prepare(dsn, url, tmp_path)
    workers = [await start_worker(dsn, url) for _ in range(WORKERS)]
    try:
        await asyncio.gather(
            publish_all(broker), kill_in_turn(workers, dsn, url, servers, seed=20261121)
        )

        async def messages(stream: str) -> int:
            try:
                return int((await broker.api(f"STREAM.INFO.{stream}"))["state"]["messages"])
            except TransientError:
                return -1

        async def finished() -> bool:
            return await messages("BILLING") == 0 and await messages("EVENTS") >= COMMANDS

        await drain(finished, within=timedelta(seconds=90), what="an empty queue")
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch("SELECT key, count(*) AS n FROM toy.done GROUP BY key")
        parked = await connection.fetchval("SELECT count(*) FROM toy.parked")
        await connection.close()

        assert len(rows) == COMMANDS
        assert {row["n"] for row in rows} == {1}
        assert parked == 0
        assert await messages("EVENTS") == COMMANDS
    finally:
        for worker in workers:
            worker.kill()
            await worker.wait()
        await broker.close()
