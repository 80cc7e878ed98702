"""Invariant 8: a thousand random commands to two schedulers, of which one is killed all the time.

Everything is replaced, cancelled, told twice and out of order; nats-server and Postgres die too.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import nats
import pytest

from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.errors import TransientError
from chassis.testing import drain
from contracts.envelope import HEADER_ID, Headers, Message
from contracts.ids import MessageId
from contracts.scheduler import CancelTimer, Repeat, ScheduleTimer
from devstack.nats_server import NatsServer
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from devstack.testing import free_port, private_nats, private_postgres
from scheduler.domain import ticks, timers
from scheduler.main import MIGRATIONS, SCHEMA

OPERATIONS = 1_000
KEYS = 150
KILLS = 10
CANCELS = 0.25
TOLD_TWICE = 0.1
DUE_SECONDS = (-1.0, 6.0)
SUBJECT = "vpn.cmd.check_subscription.v1"
REPEATING = "repeating"
SEED = 20261122


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Postgres, NatsServer]]:
    async with private_postgres() as postgres, private_nats() as server:
        yield postgres, server


def commands(chance: random.Random) -> list[Message]:
    """What is asked, each version of a key once or twice, in an order of chance."""
    now = datetime.now(UTC)
    versions: Counter[str] = Counter()
    asked: list[Message] = []
    while len(asked) < OPERATIONS:
        key = f"k{chance.randrange(KEYS)}"
        if versions[key] and chance.random() < CANCELS:
            asked.append(CancelTimer(key=key, version=versions[key] + chance.randrange(2)))
        else:
            versions[key] += 2
            asked.append(
                ScheduleTimer(
                    key=key,
                    version=versions[key],
                    due_at=now + timedelta(seconds=chance.uniform(*DUE_SECONDS)),
                    fire_subject=SUBJECT,
                    fire_body=f"{key}:{versions[key]}".encode(),
                    kind=f"kind{chance.randrange(4)}",
                )
            )
        if chance.random() < TOLD_TWICE:
            asked.append(asked[-1])
    for place in range(0, len(asked), 20):  # a little out of order
        part = asked[place : place + 20]
        chance.shuffle(part)
        asked[place : place + 20] = part
    # Repeats, and was due ten days ago: it comes once.
    asked.append(
        ScheduleTimer(
            key=REPEATING,
            version=1,
            due_at=now - timedelta(days=10),
            fire_subject=SUBJECT,
            fire_body=REPEATING.encode(),
            time_zone="Europe/Berlin",
            repeat=Repeat(unit="day", at=f"{(now - timedelta(hours=2)):%H:%M}"),
        )
    )
    return asked


async def tell(broker: Broker, asked: list[Message]) -> None:
    """Publish all, over some seconds, each under one id however often it has to be sent."""
    left = [
        OutgoingMessage(each.subject, each.encode(), Headers(id=MessageId(new_id())).to_wire())
        for each in asked
    ]
    while left:
        chunk = left[:30]
        stored = await broker.publish_all(chunk)
        left = [m for m, ok in zip(chunk, stored, strict=True) if not ok] + left[30:]
        await asyncio.sleep(0.15)  # the load of the test, not a wait


def process(dsn: str, url: str) -> ChildProcess:
    settings = {
        "DATABASE_URL": dsn,
        "NATS_URL": url,
        "SIGNATURES": "off",
        "HEALTH_PORT": free_port(),
        "LOG_LEVEL": "error",
        "FIRE_BATCH_MAX": 20,
        **{f"{tick}_every".upper(): 0 for tick in ticks.KINDS},
    }
    environment = {f"SCHEDULER_{name}": str(value) for name, value in settings.items()}
    command = (sys.executable, "-m", "scheduler")
    return ChildProcess("scheduler", command, environment={**os.environ, **environment})


async def kill_in_turn(
    processes: list[ChildProcess], servers: tuple[Postgres, NatsServer], chance: random.Random
) -> None:
    postgres, server = servers
    for turn in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.0))  # the moment of the kill is the test
        if turn == 4:
            await server.kill()
            await server.start()
        elif turn == 7:
            await postgres.kill()
            await postgres.start()
        else:
            victim = chance.choice(processes)
            await victim.kill9()
            victim.start()


async def messages(broker: Broker, stream: str) -> int:
    try:
        return int((await broker.api(f"STREAM.INFO.{stream}"))["state"]["messages"])
    except TransientError:
        return -1


async def heard(url: str, count: int) -> list[tuple[str, str]]:
    """Every message of the stream: its id and its body."""
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe_bind(durable="vpn", stream="VPN")
    found: list[tuple[str, str]] = []
    while len(found) < count:
        for message in await subscription.fetch(count - len(found), timeout=10):
            found.append((message.headers[HEADER_ID], message.data.decode()))
            await message.ack()
    await client.close()
    return found


def winners(asked: list[Message]) -> dict[str, timers.Change]:
    now = datetime.now(UTC)
    changes = [
        timers.tombstone(each, now)
        if isinstance(each, CancelTimer)
        else timers.planned(each, now, traceparent="", kinds={})
        for each in asked
    ]
    return {change.key: change for change in timers.latest(changes)}


@pytest.mark.timeout(180)
async def test_every_timer_fires_once_and_none_early(
    servers: tuple[Postgres, NatsServer],
) -> None:
    postgres, server = servers
    dsn, url = postgres.dsn(), server.url
    chance = random.Random(SEED)
    await migrations.migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
    broker = await Broker.connect(url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    asked = commands(chance)
    processes = [process(dsn, url) for _ in range(2)]
    for each in processes:
        each.start()
    try:
        await asyncio.gather(tell(broker, asked), kill_in_turn(processes, servers, chance))

        async def finished() -> bool:
            return await messages(broker, "SCHEDULER") == 0 and not await rows(
                "SELECT FROM timers WHERE state = 'armed' AND key <> $1", REPEATING
            )

        async def published() -> bool:
            return not await rows("SELECT FROM outbox WHERE published_at IS NULL")

        async def rows(query: str, *values: object) -> list[asyncpg.Record]:
            connection = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        await drain(finished, within=timedelta(seconds=60), what="every command and timer")
        await drain(published, within=timedelta(seconds=20), what="every firing published")
        told = await heard(url, await messages(broker, "VPN"))
        kept = {row["key"]: row for row in await rows("SELECT * FROM timers")}
        parked = await rows("SELECT FROM parked")
    finally:
        for each in processes:
            await each.kill9()
        await broker.close()

    assert not parked
    assert len({message_id for message_id, _ in told}) == len(told)
    fired = Counter(body for _, body in told)
    assert set(fired.values()) == {1}
    assert fired[REPEATING] == 1
    assert kept[REPEATING]["state"] == "armed"
    assert kept[REPEATING]["due_at"] > datetime.now(UTC)
    expected = winners(asked)
    del expected[REPEATING]
    assert expected.keys() == kept.keys() - {REPEATING}
    for key, change in expected.items():
        row = kept[key]
        assert row["version"] == change.version, key
        if change.state == timers.ARMED:
            assert (row["state"], fired[f"{key}:{change.version}"]) == ("fired", 1), key
        else:
            # Its own version may have fired before the cancel came.
            was_first = fired[f"{key}:{change.version}"] == 1
            assert row["state"] == ("fired" if was_first else "cancelled"), key
    early = [key for key, row in kept.items() if row["state"] == "fired"
             and row["changed_at"] < row["due_at"]]  # fmt: skip
    assert not early
