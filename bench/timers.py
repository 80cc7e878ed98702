"""A million armed timers, of which a thousand are due every second, on two scheduler processes.

The clock of one timer runs from its due moment until JetStream has stored what it carries, by the
server's own timestamp; one machine, one clock. In the middle one process is killed (-9) and not
started again. At the end every due timer's message must be in the stream once, none twice.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import nats

from bench.harness import Figure, cpu_seconds, machine, percentile
from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import id_floor, new_id
from chassis.testing import drain
from contracts.envelope import HEADER_ID, Headers
from contracts.ids import MessageId, SubscriptionId, UserId, derived_id
from contracts.scheduler import ScheduleTimer
from contracts.vpn import CheckSubscription
from devstack.processes import ChildProcess
from devstack.testing import private_nats, private_postgres, running_service
from scheduler.domain import ticks

ARMED = 1_000_000
PER_SECOND = 1_000
SECONDS = 24
KILL_AT_SECONDS = 12
AHEAD_SECONDS = 10
"""Until the first is due: setting so many takes a while."""
COMMANDS = 10_000
KINDS = ("vpn.end", "vpn.grace", "vpn.reminder", "vpn.renewal", CheckSubscription.subject)
MIGRATIONS = Path(__file__).parents[1] / "services/scheduler/migrations"
COLUMNS = (
    *("key", "version", "due_at", "fire_subject", "fire_body", "traceparent", "state"),
    *("changed_at", "kind"),
)
# Durable; a checkpoint in the middle belongs to it, a WAL too small for the machine does not.
POSTGRES = {"max_wal_size": "4GB", "shared_buffers": "256MB"}


def key_of(number: int) -> str:
    return f"subscription:{number:08d}:end"


def body() -> bytes:
    return CheckSubscription(
        subscription_id=SubscriptionId(uuid4()), user_id=UserId(8_100_000)
    ).encode()


async def build(dsn: str) -> float:
    """COPY every timer in random order, as years of orders would leave them; return the seconds."""
    chance = random.Random(20261122)
    now = datetime.now(UTC)
    later = now + timedelta(hours=1)
    carried = body()
    keys = list(range(ARMED))
    chance.shuffle(keys)

    def row(number: int) -> tuple[object, ...]:
        due_at = later + timedelta(seconds=chance.uniform(0, 60 * 86_400))
        kind = KINDS[number % len(KINDS)]
        return key_of(number), 1, due_at, CheckSubscription.subject, carried, "", "armed", now, kind

    began = time.monotonic()
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "scheduler"})
    for start in range(0, ARMED, 50_000):
        await connection.copy_records_to_table(
            "timers", records=[row(n) for n in keys[start : start + 50_000]], columns=COLUMNS
        )
    took = time.monotonic() - began
    await connection.execute("VACUUM (ANALYZE) timers")
    await connection.execute("CHECKPOINT")
    await connection.close()
    return took


async def set_due(dsn: str, numbers: list[int]) -> dict[str, datetime]:
    """Make the chosen timers due one a millisecond, and return when each is."""
    begin = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS)
    dues = {
        key_of(number): begin + timedelta(seconds=place / PER_SECOND)
        for place, number in enumerate(numbers)
    }
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "scheduler"})
    await connection.execute(
        "UPDATE timers SET due_at = d.due_at FROM unnest($1::text[], $2::timestamptz[]) "
        "AS d (key, due_at) WHERE timers.key = d.key",
        list(dues),
        list(dues.values()),
    )
    await connection.close()
    assert datetime.now(UTC) < begin, "the machine is too busy to begin in time"
    return dues


def scheduler(dsn: str, url: str) -> AbstractAsyncContextManager[ChildProcess]:
    settings: dict[str, object] = {f"{tick}_every": 0 for tick in ticks.KINDS}
    return running_service("scheduler", {"database_url": dsn, "nats_url": url, **settings})


async def arming(dsn: str, url: str, broker: Broker) -> float:
    """Return how many schedule_timer commands one process takes in a second."""
    far = datetime.now(UTC) + timedelta(days=40)
    for start in range(0, COMMANDS, 1_000):
        commands = [
            ScheduleTimer(
                key=f"armed:{number}",
                version=1,
                due_at=far,
                fire_subject=CheckSubscription.subject,
                fire_body=body(),
            )
            for number in range(start, start + 1_000)
        ]
        sent = [
            OutgoingMessage(each.subject, each.encode(), Headers(id=MessageId(new_id())).to_wire())
            for each in commands
        ]
        assert all(await broker.publish_all(sent))

    async def waiting() -> int:
        return int((await broker.api("STREAM.INFO.SCHEDULER"))["state"]["messages"])

    async def begun() -> bool:
        return await waiting() < COMMANDS

    async def over() -> bool:
        return await waiting() == 0

    async with scheduler(dsn, url):
        await drain(begun, what="the first batch")
        left, began = await waiting(), time.monotonic()
        await drain(over, within=timedelta(seconds=60), what="every timer armed")
        return left / (time.monotonic() - began)


async def stored(url: str, count: int) -> list[tuple[UUID, datetime]]:
    """Read every message of the stream: its id, and when the server stored it."""
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe_bind(durable="vpn", stream="VPN")
    found: list[tuple[UUID, datetime]] = []
    while len(found) < count:
        for message in await subscription.fetch(min(500, count - len(found)), timeout=10):
            assert message.headers is not None
            found.append((UUID(message.headers[HEADER_ID]), message.metadata.timestamp))
            await message.ack()
    await client.close()
    return found


async def fire(
    dsn: str, url: str, broker: Broker, numbers: list[int]
) -> tuple[dict[str, datetime], float]:
    """Let two processes fire, kill one in the middle; return the dues and the CPU seconds used."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(scheduler(dsn, url))
        second = await stack.enter_async_context(scheduler(dsn, url))
        dues = await set_due(dsn, numbers)
        begin = min(dues.values())
        before = cpu_seconds([second.pid])
        await asyncio.sleep((begin - datetime.now(UTC)).total_seconds() + KILL_AT_SECONDS)
        await first.kill9()

        async def told() -> bool:
            state = (await broker.api("STREAM.INFO.VPN"))["state"]
            return int(state["messages"]) >= len(dues)

        left = SECONDS - KILL_AT_SECONDS
        await drain(told, within=timedelta(seconds=left + 60), what=f"{len(dues)} messages")
        return dues, cpu_seconds([second.pid]) - before


async def judge(dsn: str, url: str, broker: Broker, dues: dict[str, datetime]) -> list[float]:
    """Return every timer's lag in milliseconds; none may be lost, early or there twice."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "scheduler"})
    states = await connection.fetch(
        "SELECT state, count(*) AS n, count(*) FILTER (WHERE changed_at < due_at) AS early "
        "FROM timers WHERE key = ANY($1) GROUP BY 1",
        list(dues),
    )
    await connection.close()
    assert [(row["state"], row["n"], row["early"]) for row in states] == [("fired", len(dues), 0)]
    expected = {derived_id(id_floor(due_at), key, 1): due_at for key, due_at in dues.items()}
    messages = (await broker.api("STREAM.INFO.VPN"))["state"]["messages"]
    found = await stored(url, int(messages))
    assert Counter(each for each, _ in found) == Counter(expected.keys())
    return [(at - expected[each]).total_seconds() * 1_000 for each, at in found]


async def measure() -> Figure:
    figure = Figure(
        f"{ARMED:,} armed timers, {PER_SECOND:,} due every second",
        "lag p99 <= 500 ms; one of two processes killed: nothing lost, nothing twice",
    )
    figure.values |= machine()
    async with private_postgres(POSTGRES) as postgres, private_nats() as server:
        dsn, url = postgres.dsn(), server.url
        await migrations.migrate(dsn, schema="scheduler", folder=MIGRATIONS)
        broker = await Broker.connect(url, name="bench", on_fatal=sys.exit)
        await bootstrap.apply(broker)
        figure.add("built with COPY in", await build(dsn), "s", key="build_seconds")
        figure.add("armed by command", await arming(dsn, url, broker), "a second", key="armed")
        numbers = random.Random(20261123).sample(range(ARMED), PER_SECOND * SECONDS)
        dues, cpu = await fire(dsn, url, broker, numbers)
        lags = await judge(dsn, url, broker, dues)
        await broker.close()
    figure.add("fired, each exactly once", len(lags), "timers", key="fired")
    for share, name in ((0.5, "p50"), (0.99, "p99"), (1.0, "worst")):
        label = f"{name}, due -> stored in JetStream"
        figure.add(label, percentile(lags, share), "ms", key=f"{name}_ms")
    figure.add("CPU of the process that lived", cpu / SECONDS * 100, "% of a core", key="cpu")
    return figure


if __name__ == "__main__":
    asyncio.run(measure()).show()
