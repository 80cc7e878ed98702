"""The exactly-once pipeline beside pgbench: place_order commands in, jobs on their subject out.

Ours: commands wait in JetStream (`sync_interval: always`); the real billing process takes them, and
the clock runs from the first to the last job stored in JOBS, by the server's own timestamps.
Beside it: `pgbench -c 8 -j 2 -M prepared` with the same statements, one order per transaction, on
the same durable Postgres. Interleaved, median of five.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from bench.harness import Figure, cpu_seconds, machine, median
from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.partitions import Partitions
from chassis.testing import drain
from contracts import billing
from contracts.envelope import Headers
from contracts.ids import MessageId
from contracts.media import MediaRef
from devstack.postgres import Postgres, postgres_binaries
from devstack.processes import ChildProcess
from devstack.testing import private_nats, private_postgres

ORDERS = 20_000
USERS = 2_000
ROUNDS = 5
PGBENCH_SECONDS = 6
CREDITS = 1_000_000_000
SCRIPT = Path(__file__).with_name("pipeline.sql")
MIGRATIONS = Path(__file__).parents[1] / "services/billing/migrations"
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
    await migrations.migrate(postgres.dsn(), schema="billing", folder=MIGRATIONS)
    database = await Database.connect(postgres.dsn(), schema="billing")
    await Partitions(database, SystemClock()).maintain()
    async with database.read() as connection:
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
    await database.close()
    await bootstrap.apply(broker)


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


@asynccontextmanager
async def billing_process(postgres: Postgres, url: str) -> AsyncIterator[int]:
    environment = {
        "BILLING_DATABASE_URL": postgres.dsn(),
        "BILLING_NATS_URL": url,
        "BILLING_LOG_LEVEL": "warning",
        "BILLING_IN_FLIGHT_MAX": "1000000",
        "BILLING_QUEUE_MAX": "100000000",
        "BILLING_CATALOGUE_DIR": str(Path(__file__).parents[1] / "catalogue"),
    }
    process = ChildProcess("billing", (sys.executable, "-m", "billing"), environment=environment)
    process.start()
    try:
        yield process.pid
    finally:
        await process.terminate(20)


async def ours(postgres: Postgres, url: str, broker: Broker) -> tuple[float, float]:
    """Return orders per second, and CPU milliseconds of billing per order."""
    for stream in ("JOBS", "EVENTS", "BILLING"):
        await broker.api(f"STREAM.PURGE.{stream}")
    for start in range(0, ORDERS, 1_000):
        stored = await broker.publish_all([command(start + n) for n in range(1_000)])
        assert all(stored)
    async with billing_process(postgres, url) as pid:

        async def done() -> bool:
            info = await broker.api("STREAM.INFO.JOBS")
            return int(info["state"]["messages"]) == ORDERS

        await drain(done, within=timedelta(seconds=120), what=f"{ORDERS} jobs")
        cpu = cpu_seconds([pid])

        async def acked() -> bool:
            info = await broker.api("STREAM.INFO.BILLING")
            return int(info["state"]["messages"]) == 0

        await drain(acked, within=timedelta(seconds=20), what="every command acked")
    state = (await broker.api("STREAM.INFO.JOBS"))["state"]
    first, last = (_moment(state[name]) for name in ("first_ts", "last_ts"))
    # The first batch was stored at `first`: its own work lies before the clock began.
    return (ORDERS - 256) / (last - first).total_seconds(), cpu / ORDERS * 1_000


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", text))


async def pgbench(postgres: Postgres) -> float:
    """Return transactions per second of the same statements, one order each."""
    program = postgres_binaries(None) / "pgbench"
    process = await asyncio.create_subprocess_exec(
        *(str(program), "-n", "-c", "8", "-j", "2", "-M", "prepared"),
        *("-T", str(PGBENCH_SECONDS), "-f", str(SCRIPT), "-D", f"users={USERS}", postgres.dsn()),
        env={"PGOPTIONS": "-c search_path=billing"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", output)
    if process.returncode or found is None or re.search(rb"failed transactions: [1-9]", output):
        raise RuntimeError((output + errors).decode()[-2_000:])
    return float(found[1])


async def settle(postgres: Postgres) -> None:
    """Let neither side pay for the other's dirty pages."""
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("UPDATE billing.accounts SET in_flight = 0")
    await connection.execute("VACUUM (ANALYZE) billing.accounts, billing.lots")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def measure(rounds: int = ROUNDS) -> Figure:
    figure = Figure(
        "exactly-once pipeline",
        "orders/s at least 1.5 x (aim 2 x) pgbench's with the same statements",
    )
    figure.values |= machine()
    settings = {"max_wal_size": "4GB", "checkpoint_timeout": "30min"}
    async with private_postgres(settings) as postgres, private_nats() as nats:
        broker = await Broker.connect(nats.url, name="bench", on_fatal=sys.exit)
        await prepare(postgres, broker)
        our_rates, our_cpu, their_rates = [], [], []
        for _ in range(rounds):
            await settle(postgres)
            rate, cpu = await ours(postgres, nats.url, broker)
            our_rates.append(rate)
            our_cpu.append(cpu)
            await settle(postgres)
            their_rates.append(await pgbench(postgres))
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
