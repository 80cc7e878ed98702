"""The exactly-once pipeline beside pgbench: place_order commands in, jobs on their subject out.

Ours: commands wait in JetStream (`sync_interval: always`); the real billing process takes them, and
the clock runs from the first to the last job stored in JOBS, by the server's own timestamps.
Beside it: `pgbench -c 8 -j 2 -M prepared` with the same statements, one order per transaction, on
the same durable Postgres. Interleaved, median of five.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from bench.beside_pgbench import (
    SERVER,
    Signing,
    billing_process,
    pgbench,
    prepared,
    settle,
    state_of,
    stored_at,
    unsigned,
)
from bench.harness import Figure, cpu_seconds, machine, median
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.testing import drain
from contracts import billing, topology
from contracts.envelope import Headers
from contracts.ids import MessageId
from contracts.media import MediaRef
from devstack.postgres import Postgres
from devstack.testing import private_nats, private_postgres

ORDERS = 20_000
USERS = 2_000
ROUNDS = 5
CREDITS = 1_000_000_000
SCRIPT = Path(__file__).with_name("pipeline.sql")
PHOTO = MediaRef(
    name="photo",
    object_key="inputs/01939f9c-5c00-7abc-8def-0123456789ab.jpg",
    sha256="0" * 64,
    mime="image/jpeg",
    size_bytes=345_678,
    width=1280,
    height=960,
)


async def prepare(postgres: Postgres, broker: Broker) -> None:
    """Make the schema, people with plenty of credits, and the streams."""
    async with prepared(postgres, broker) as connection:
        await connection.execute(
            "INSERT INTO accounts (user_id, available, held, debt, in_flight, transfers, "
            "lots_opened, tier, tier_version, deep_link, opened_at) "
            "SELECT g, $2, 0, 0, 0, 1, 1, 'none', 0, '', now() FROM generate_series(1, $1) g",
            USERS,
            CREDITS,
        )
        await connection.execute(
            "INSERT INTO lots (user_id, number, kind, granted, remaining, state) "
            "SELECT g, 1, 'paid', $2, $2, 'open' FROM generate_series(1, $1) g",
            USERS,
            CREDITS,
        )
        await connection.execute(
            "INSERT INTO transfers (user_id, number, lot, amount, debit, credit, kind, reason, at) "
            "SELECT g, 1, 1, $2, 'grants', 'available', 'grant', '', now() "
            "FROM generate_series(1, $1) g",
            USERS,
            CREDITS,
        )


def command(number: int) -> OutgoingMessage:
    order_id = new_id()
    message = billing.PlaceOrder(
        order_id=order_id,
        user_id=number % USERS + 1,
        workflow_id="image.product_scene",
        catalogue_version=1,
        price_credits=10,
        priced_at=datetime.now(UTC),
        inputs=(PHOTO,),
    )
    headers = Headers(id=MessageId(new_id()), sent_at=datetime.now(UTC), order_id=order_id)
    return OutgoingMessage(message.subject, message.encode(), headers.to_wire())


async def ours(
    postgres: Postgres,
    url: str,
    broker: Broker,
    settings: Mapping[str, object] | None = None,
    sign: Signing = unsigned,
) -> tuple[float, float]:
    """Return orders per second, and CPU milliseconds of billing per order."""
    for stream in ("JOBS", "EVENTS", "BILLING"):
        await broker.api(f"STREAM.PURGE.{stream}")
    for start in range(0, ORDERS, 1_000):
        stored = await broker.publish_all(sign([command(start + n) for n in range(1_000)]))
        assert all(stored)
    async with billing_process(postgres, url, settings) as pid:

        async def done() -> bool:
            return int((await state_of(broker, "JOBS"))["messages"]) == ORDERS

        await drain(done, within=timedelta(seconds=120), what=f"{ORDERS} jobs")
        cpu = cpu_seconds([pid])

        async def acked() -> bool:
            return int((await state_of(broker, "BILLING"))["messages"]) == 0

        await drain(acked, within=timedelta(seconds=20), what="every command acked")
    state = await state_of(broker, "JOBS")
    first, last = [
        await stored_at(broker, "JOBS", state[f"{end}_seq"]) for end in ("first", "last")
    ]
    # The first batch was stored at `first`: its own work lies before the clock began.
    rate = (ORDERS - topology.BATCH_MAX) / (last - first).total_seconds()
    return rate, cpu / ORDERS * 1_000


async def quiet(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("UPDATE billing.accounts SET in_flight = 0")
    await connection.close()
    await settle(postgres, ("accounts", "lots"))


async def measure(rounds: int = ROUNDS) -> Figure:
    figure = Figure(
        "exactly-once pipeline",
        "orders/s at least 1.5 x (aim 2 x) pgbench's with the same statements",
    )
    figure.values |= machine()
    async with private_postgres(SERVER) as postgres, private_nats() as nats:
        broker = await Broker.connect(nats.url, name="bench", on_fatal=sys.exit)
        await prepare(postgres, broker)
        our_rates, our_cpu, their_rates = [], [], []
        for _ in range(rounds):
            await quiet(postgres)
            rate, cpu = await ours(postgres, nats.url, broker)
            our_rates.append(rate)
            our_cpu.append(cpu)
            await quiet(postgres)
            their_rates.append(await pgbench(postgres, {SCRIPT: 1}, USERS))
        await broker.close()
    figure.add("ours, median", median(our_rates), "orders/s", key="orders_per_second")
    figure.add("pgbench, median", median(their_rates), "orders/s", key="pgbench_per_second")
    ratio = median(our_rates) / median(their_rates)
    figure.add("ratio", ratio, "x", key="ratio")
    figure.add("CPU of billing per order", median(our_cpu), "ms", key="cpu_ms_per_order")
    figure.values["rounds"] = {"ours": our_rates, "pgbench": their_rates}
    return figure


if __name__ == "__main__":
    asyncio.run(measure()).show()
