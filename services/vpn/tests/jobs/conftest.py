"""Nodes in memory kept by the real keepers, with a real Postgres and a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis import bootstrap
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.testing import drain
from contracts import vpn as contract
from contracts.access import AccessPlan
from contracts.envelope import contracts_of
from contracts.vpn import GrantAccess, KeyRotated, NodeAlarmed
from vpn import main as service
from vpn.adapters.files import Catalogue
from vpn.adapters.nodes.memory import MemoryNode
from vpn.domain.desired import Entry, by_email
from vpn.main import SCHEMA, Vpn, build
from vpn.ports.registry import MEMORY, NodeConfig
from vpn.settings import Settings
from vpn.testing import received

CONTRACTS = contracts_of(contract)
PLANS = {
    plan.id: plan
    for plan in (
        AccessPlan(id="vpn_30", price_credits=150, days=30),
        AccessPlan(id="vpn_eu", price_credits=100, days=30, regions=("eu",)),
    )
}
LINK = {"address": "vpn.example.org", "port": 443}
QUICK = {
    "look_every": timedelta(milliseconds=100),
    "drift_window": timedelta(milliseconds=300),
    "node_down_after": timedelta(milliseconds=500),
    "traffic_every": timedelta(milliseconds=300),
    "removals_max": 2,
}
LEFT_ALONE_SECONDS = 1.0
"""So long at most a node is left alone that did not answer; in a service it is up to thirty."""
LONG = timedelta(seconds=60)
STREAMS = ("VPN", "EVENTS", "KV_leases")
"""What keepers use: all the others take longer to make than most tests."""


class Shop:
    """One replica: what it runs, and the nodes it keeps."""

    def __init__(self, built: Vpn, outbox: Outbox, nodes: dict[str, MemoryNode]) -> None:
        self.built = built
        self.outbox = outbox
        self.nodes = nodes
        self.routes = {
            route.message.subject: route for table in built.subscriptions for route in table.routes
        }

    async def handle(self, *messages: Any) -> None:
        route = self.routes[messages[0].subject]
        async with self.outbox.begin() as uow:
            keys = sorted({key for each in messages for key in each.lock_keys()})
            await self.built.books.subscriptions.lock(uow.connection, keys)
            if route.batch:
                await route.handler([received(each) for each in messages], uow)
            else:
                for each in messages:
                    await route.handler(each, uow)

    async def grant(self, *users: int, plan: str = "vpn_30") -> None:
        await self.handle(
            *(GrantAccess(order_id=new_id(), user_id=user, plan=plan, days=30) for user in users)
        )

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self.outbox.database.read() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def wanted(self) -> dict[str, Entry]:
        rows = await self.fetch(
            "SELECT subscription_id, key, expires_at, flow FROM desired WHERE removed_for IS NULL"
        )
        return by_email(Entry(str(row[0]), *row[1:]) for row in rows)

    async def in_step(self, *names: str) -> None:
        """Wait until nodes hold exactly what they should."""
        await self.confirmed(*names)
        wanted = await self.wanted()
        for name in names or self.nodes:
            assert self.nodes[name].held == wanted

    async def confirmed(self, *names: str) -> None:
        async def done() -> bool:
            [(head,)] = await self.fetch("SELECT generation FROM desired_head")
            rows = dict(await self.fetch("SELECT name, generation FROM nodes"))
            wanted = await self.wanted()
            return all(
                rows[name] >= head and self.nodes[name].held == wanted
                for name in names or self.nodes
            )

        await drain(done, within=LONG, what="nodes in step")

    async def alarms(self) -> list[tuple[str, str]]:
        rows = await self.fetch(
            "SELECT body FROM outbox WHERE subject = $1 ORDER BY id", NodeAlarmed.subject
        )
        told = [NodeAlarmed.decode(body) for (body,) in rows]
        return [(each.node, each.code) for each in told]

    async def alarmed(self, node: str, code: str) -> None:
        async def done() -> bool:
            return (node, code) in await self.alarms()

        await drain(done, within=LONG, what=f"{code} of {node}")

    async def rotations(self) -> list[KeyRotated]:
        """What was told about keys that were replaced."""
        rows = await self.fetch(
            "SELECT body FROM outbox WHERE subject = $1 ORDER BY id", KeyRotated.subject
        )
        return [KeyRotated.decode(body) for (body,) in rows]

    async def rotation_told(self) -> None:
        """Wait until it is told, confirmed or not: without an answer after some ten seconds."""
        await drain(self.rotations, within=LONG, what="the rotation told")

    async def rotation_confirmed(self) -> None:
        """Wait until it is confirmed; a node that was silent for a moment is told of before."""

        async def done() -> bool:
            return any(each.confirmed for each in await self.rotations())

        await drain(done, within=LONG, what="the rotation confirmed")
        assert [each.confirmed for each in await self.rotations()].count(True) == 1

    def strangers(self, count: int) -> dict[str, UUID]:
        return {f"stranger-{number}": uuid4() for number in range(count)}


Open = Callable[..., Any]


@pytest.fixture
async def open_shop(emptied_dsn: str, nats_url: str) -> Open:
    """Starts replicas over the same nodes, the first with an empty database."""
    first = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
    await bootstrap.apply(first, only=STREAMS)
    await first.close(timedelta(seconds=1))

    @asynccontextmanager
    async def open_shop(nodes: dict[str, MemoryNode], **settings: Any) -> AsyncIterator[Shop]:
        broker = await Broker.connect(nats_url, name="test", on_fatal=pytest.fail)
        database = await Database.connect(emptied_dsn, schema=SCHEMA)
        outbox = Outbox(database, broker, SystemClock())
        await outbox.partitions.maintain()
        background = Background()
        configs = [
            NodeConfig(name=name, region=name.split("-")[0], driver=MEMORY, link=LINK)
            for name in nodes
        ]
        built = build(
            Settings(database_url=emptied_dsn, **{**QUICK, **settings}),
            outbox,
            background,
            catalogue=Catalogue(PLANS, {}, {}),
            nodes=configs,
            drivers=nodes,
        )
        for keeper in built.keepers:
            keeper.line.breaker.longest_seconds = LEFT_ALONE_SECONDS
        await built.keeping.register(built.nodes)
        await service.start(built, background)
        try:
            yield Shop(built, outbox, nodes)
            assert background.failure is None
        finally:
            await service.stop(built)
            await background.stop(timedelta(seconds=5))
            await database.close()
            await broker.close(timedelta(seconds=1))

    return open_shop


@pytest.fixture
async def shop(open_shop: Open) -> AsyncIterator[Shop]:
    nodes = {name: MemoryNode(name, SystemClock()) for name in ("eu-1", "eu-2", "us-1")}
    async with open_shop(nodes) as opened:
        yield opened


@pytest.fixture
def soon() -> Any:
    """A pause for what must not happen meanwhile."""
    return lambda: asyncio.sleep(0.8)
