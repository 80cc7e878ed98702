"""What the figures beside pgbench share: the real billing process, pgbench's run, quiet between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock
from chassis.database import Connection, Database
from chassis.partitions import Partitions
from devstack.postgres import Postgres, postgres_binaries
from devstack.testing import running_service

ROOT = Path(__file__).parents[1]
SERVER: Mapping[str, str] = {"max_wal_size": "4GB", "checkpoint_timeout": "30min"}
"""Durable as by default; only a checkpoint shall not fall into one side's run."""
CLIENTS, THREADS, SECONDS = 8, 2, 6
SECRET = "a secret of the bench"
Signing = Callable[[Sequence[OutgoingMessage]], Sequence[OutgoingMessage]]
"""Signs what is sent to billing, where that is measured."""


def unsigned(messages: Sequence[OutgoingMessage]) -> Sequence[OutgoingMessage]:
    return messages


@asynccontextmanager
async def prepared(postgres: Postgres, broker: Broker) -> AsyncIterator[Connection]:
    """Make billing's schema and the streams; lend a connection to fill the tables."""
    folder = ROOT / "services/billing/migrations"
    await migrations.migrate(postgres.dsn(), schema="billing", folder=folder)
    database = await Database.connect(postgres.dsn(), schema="billing")
    await Partitions(database, SystemClock()).maintain()
    async with database.read() as connection:
        yield connection
    await database.close()
    await bootstrap.apply(broker)


@asynccontextmanager
async def billing_process(
    postgres: Postgres, url: str, more: Mapping[str, object] | None = None
) -> AsyncIterator[int]:
    """Billing as it ships, with nobody's limits in the way; yields its process id."""
    settings = {
        "database_url": postgres.dsn(),
        "nats_url": url,
        "in_flight_max": 1_000_000,
        "queue_max": 100_000_000,
        "payload_secret": SECRET,
        "catalogue_dir": ROOT / "catalogue",
        **(more or {}),
    }
    async with running_service("billing", settings) as process:
        yield process.pid


async def pgbench(postgres: Postgres, scripts: Mapping[Path, int], users: int) -> float:
    """Return transactions per second of scripts (drawn by weight), one operation in each."""
    program = str(postgres_binaries(None) / "pgbench")
    process = await asyncio.create_subprocess_exec(
        *(program, "-n", "-c", str(CLIENTS), "-j", str(THREADS), "-M", "prepared"),
        *("-T", str(SECONDS), *(f"--file={path}@{weight}" for path, weight in scripts.items())),
        *("-D", f"users={users}", postgres.dsn()),
        env={"PGOPTIONS": "-c search_path=billing"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", output)
    if process.returncode or found is None or re.search(rb"failed transactions: [1-9]", output):
        raise RuntimeError((output + errors).decode()[-2_000:])
    return float(found[1])


async def settle(postgres: Postgres, tables: Sequence[str]) -> None:
    """Let neither side pay for the other's dirty pages."""
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("SET search_path = billing")
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(tables)}")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def state_of(broker: Broker, stream: str) -> dict[str, Any]:
    info = await broker.api(f"STREAM.INFO.{stream}")
    return dict(info["state"])


async def stored_at(broker: Broker, stream: str, sequence: int) -> datetime:
    """When the server stored a message, by its own clock."""
    answer = await broker.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
    text = re.sub(r"(\.\d{1,6})\d*Z$", r"\1+00:00", answer["message"]["time"])
    return datetime.fromisoformat(text)
