"""How long it takes to know that every node holds what it should: by hash, without listing.

100,000 subscriptions, 20 nodes, no drift: the real keepers on a durable Postgres and a real
nats-server, with nodes in memory (asking a real one adds one small HTTPS request each, all at the
same time). Timed from the command's transaction to the last node's line of the report. Beside it:
recomputing the kept sums from the rows, and a full comparison with every node's whole list.

`python -m bench.vpn_reconcile 10000` measures with so many subscriptions.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

from bench.harness import Figure, machine, median
from chassis import bootstrap, logs, migrations
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts.vpn import ReconcileNodes
from devstack.testing import create_database, private_nats, private_postgres
from vpn import main as service
from vpn.adapters.files import Catalogue
from vpn.adapters.nodes.memory import MemoryNode
from vpn.domain.desired import Entry, by_email
from vpn.domain.set_hash import MODULUS, SetHash, digest
from vpn.main import MIGRATIONS, SCHEMA, Vpn, build
from vpn.ports.registry import MEMORY, NodeConfig
from vpn.settings import Settings

SUBSCRIPTIONS = 100_000
NODES = 20
ROUNDS = 5
GOAL = "reconcile of 100,000 subscriptions on 20 nodes with no drift <= 5 s, nothing listed"
LINK = {"address": "vpn.example.org", "port": 443}


async def measure(subscriptions: int = SUBSCRIPTIONS) -> Figure:
    figure = Figure(f"Reconcile {subscriptions:,} subscriptions on {NODES} nodes", GOAL)
    figure.values |= machine()
    logs.configure(service="bench", log_format="console", level="warning")
    async with stage(subscriptions) as (built, outbox, nodes):
        seconds = [await by_hash(built, outbox) for _ in range(ROUNDS)]
        listed = sum(node.calls.count("users") for node in nodes.values())
        audited = await timed(service.DesiredReads(outbox.database).audit())
        compared = await by_list(built)
    figure.add("by hash, all nodes, median", median(seconds), "s", key="by_hash_seconds")
    figure.add("by hash, slowest round", max(seconds), "s", key="by_hash_slowest_seconds")
    figure.add("lists asked for meanwhile", listed, "", key="listed")
    figure.add("kept sums recomputed from the rows", audited, "s", key="audit_seconds")
    figure.add("one node compared by its list", compared, "s", key="by_list_seconds")
    return figure


@asynccontextmanager
async def stage(
    subscriptions: int,
) -> AsyncIterator[tuple[Vpn, Outbox, dict[str, MemoryNode]]]:
    async with private_postgres() as postgres, private_nats() as nats:
        dsn = await create_database(postgres)
        await migrations.migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
        broker = await Broker.connect(nats.url, name="bench", on_fatal=sys.exit)
        await bootstrap.apply(broker)
        database = await Database.connect(dsn, schema=SCHEMA)
        outbox = Outbox(database, broker, SystemClock())
        await outbox.partitions.maintain()
        entries = await fill(database, subscriptions)
        nodes = {
            f"eu-{number}": MemoryNode(f"eu-{number}", SystemClock()) for number in range(NODES)
        }
        total = SetHash(sum(map(digest, entries)))
        for node in nodes.values():
            node.held, node.hash, node.generation = by_email(entries), total.copy(), 1
        background = Background()
        configs = [NodeConfig(name=name, region="eu", driver=MEMORY, link=LINK) for name in nodes]
        built = build(
            Settings(database_url=dsn, look_every=timedelta(seconds=30)),
            outbox,
            background,
            catalogue=Catalogue({}, {}, {}),
            nodes=configs,
            drivers=nodes,
        )
        await built.keeping.register(built.nodes)
        await service.start(built, background)
        try:
            yield built, outbox, nodes
        finally:
            await service.stop(built)
            await background.stop(timedelta(seconds=5))
            await database.close()
            await broker.close(timedelta(seconds=1))


async def fill(database: Database, count: int) -> list[Entry]:
    """People with access, as if each had bought it, and the sums kept with them."""
    now = datetime.now(UTC).replace(microsecond=0)
    until = now + timedelta(days=30)
    entries = [Entry(str(UUID(int=n, version=4)), uuid4(), until) for n in range(count)]
    shares = [digest(each) for each in entries]
    rows = [
        (UUID(each.email), "all", each.key, until, "", Decimal(share), 1, now)
        for each, share in zip(entries, shares, strict=True)
    ]
    columns = ["subscription_id", "set_id", "key", "expires_at", "flow", "digest"]
    columns += ["generation", "changed_at"]
    async with database.read() as connection:
        await connection.copy_records_to_table("desired", columns=columns, records=rows)
        await connection.execute(
            "INSERT INTO node_sets VALUES ('all', $1, $2)", count, Decimal(sum(shares) % MODULUS)
        )
        await connection.execute("UPDATE desired_head SET generation = 1")
        await connection.execute("ANALYZE desired")
    return entries


async def by_hash(built: Vpn, outbox: Outbox) -> float:
    """From the command to the last node's line."""
    handler: Any = next(
        route.handler
        for table in built.subscriptions
        for route in table.routes
        if route.message is ReconcileNodes
    )

    async def reported() -> bool:
        rows = await built.keeping.drifts(dry_run=False)
        return sum(row["at"] >= asked_at for row in rows) == NODES

    async def kept() -> bool:
        return all(keeper.holds for keeper in built.keepers)

    await drain(kept, what="every node kept")
    asked_at, began = datetime.now(UTC), perf_counter()
    async with outbox.begin() as uow:
        await handler(ReconcileNodes(due_at=asked_at), uow)
    await drain(reported, what="every node's line")
    return perf_counter() - began


async def by_list(built: Vpn) -> float:
    return await timed(built.keepers[0].pushing.dry_run())


async def timed(work: Any) -> float:
    began = perf_counter()
    await work
    return perf_counter() - began


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(measure(*given)).show()


if __name__ == "__main__":
    main()
