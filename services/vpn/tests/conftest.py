"""A counter where access is given: the real handlers on a real Postgres, by a clock of its own."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from chassis.clock import new_id
from chassis.database import Database
from chassis.outbox import Outbox
from chassis.testing import FakeClock
from contracts import access, scheduler, vpn
from contracts.access import KIND_TRAFFIC, KIND_TRIAL, AccessPlan
from contracts.envelope import Message, contracts_of
from devstack.testing import DatabaseServer, empty_database, migrated_database
from vpn import consumers
from vpn.domain.terms import Terms
from vpn.main import MIGRATIONS, SCHEMA, postgres_books
from vpn.ports import Wakes
from vpn.testing import received

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONTRACTS = contracts_of(access, vpn, scheduler)
PLANS = {
    plan.id: plan
    for plan in (
        AccessPlan(id="vpn_trial", price_credits=0, kind=KIND_TRIAL, days=3, traffic_gib=1),
        AccessPlan(id="vpn_30", price_credits=150, days=30, traffic_gib=100, devices=2),
        AccessPlan(id="vpn_eu", price_credits=100, days=30, regions=("eu",)),
        AccessPlan(id="vpn_more", price_credits=40, kind=KIND_TRAFFIC, traffic_gib=50),
    )
}


class Counter:
    """Handles messages as the consumers do, and reads back what became of them."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.terms = Terms()
        self.woken: list[str] = []
        self.outbox = Outbox(database, cast("Any", None), clock)
        self.books = postgres_books(lambda: self.woken.append("push"))

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def routes(self) -> dict[str, Any]:
        named = ("check", "reconcile", "try_reconcile", "extend")
        wakes = Wakes(*(lambda name=name: self.woken.append(name) for name in named))
        tables = consumers.table(books=self.books, wakes=wakes, catalogue=PLANS, terms=self.terms)
        return {route.message.subject: route for table in tables for route in table.routes}

    async def handle(self, *messages: Message, said: UUID | None = None) -> list[Any]:
        """One transaction of one kind of message; returns what was emitted, timers left out.

        `said`: the id they came under, where it matters when that was.
        """
        route = self.routes()[messages[0].subject]
        async with self.outbox.begin() as uow:
            keys = sorted({key for each in messages for key in each.lock_keys()})
            await self.books.subscriptions.lock(uow.connection, keys)
            if route.batch:
                await route.handler([received(each, said) for each in messages], uow)
            else:
                for each in messages:
                    uow.message_id = said
                    await route.handler(each, uow)
        emitted = [CONTRACTS[row.subject].decode(row.body) for row in uow.rows]
        self.timers = [
            each
            for each in emitted
            if isinstance(each, (scheduler.ScheduleTimer, scheduler.CancelTimer))
        ]
        return [each for each in emitted if each not in self.timers]

    async def grant(self, plan: str = "vpn_30", user_id: int = 7, **fields: Any) -> list[Any]:
        values = {"order_id": new_id(), "days": PLANS[plan].days, **fields}
        return await self.handle(vpn.GrantAccess(user_id=user_id, plan=plan, **values))

    async def check(self, user_id: int = 7) -> list[Any]:
        one = await self.row(user_id)
        return await self.handle(vpn.CheckSubscription(subscription_id=one.id, user_id=user_id))

    async def row(self, user_id: int = 7) -> Any:
        async with self.database.read() as connection:
            row = await connection.fetchrow(
                "SELECT s.*, p.trial_used FROM subscriptions s JOIN people p USING (user_id) "
                "WHERE user_id = $1",
                user_id,
            )
        return SimpleNamespace(**dict(row.items()))

    async def desired(self, user_id: int = 7) -> Any:
        async with self.database.read() as connection:
            row = await connection.fetchrow(
                "SELECT d.* FROM desired d JOIN subscriptions s ON s.id = d.subscription_id "
                "WHERE user_id = $1",
                user_id,
            )
        return None if row is None else SimpleNamespace(**dict(row.items()))

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def execute(self, query: str, *arguments: Any) -> None:
        async with self.database.read() as connection:
            await connection.execute(query, *arguments)

    async def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))
        await self.outbox.partitions.maintain()

    async def generation(self) -> int:
        [(generation,)] = await self.fetch("SELECT generation FROM desired_head")
        return int(generation)

    async def run(self, work: Any, *arguments: Any, **parts: Any) -> Any:
        """One transaction of anything that takes a unit of work; its emissions in `emitted`."""
        async with self.outbox.begin() as uow:
            result = await work(uow, *arguments, **parts)
        self.emitted = [
            each
            for row in uow.rows
            if not isinstance(
                each := CONTRACTS[row.subject].decode(row.body),
                (scheduler.ScheduleTimer, scheduler.CancelTimer),
            )
        ]
        return result


def only(kind: type, events: list[Any]) -> Any:
    found = [each for each in events if isinstance(each, kind)]
    assert len(found) == 1, events
    return found[0]


@pytest.fixture(scope="session")
def migrated_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """One migrated database for most tests: migrating costs thirty times what emptying does."""
    with migrated_database(postgres_server, SCHEMA, MIGRATIONS) as dsn:
        yield dsn


@pytest.fixture
async def emptied_dsn(migrated_dsn: str) -> str:
    """The migrated database as it was before its first subscription."""
    head = f"INSERT INTO {SCHEMA}.desired_head (generation) VALUES (0)"
    await empty_database(migrated_dsn, SCHEMA, head)
    return migrated_dsn


@pytest.fixture
async def counter(emptied_dsn: str) -> AsyncIterator[Counter]:
    database = await Database.connect(emptied_dsn, schema=SCHEMA)
    made = Counter(database, FakeClock(NOW))
    await made.outbox.partitions.maintain()
    await made.execute("INSERT INTO nodes (name, region) VALUES ('eu-1', 'eu'), ('us-1', 'us')")
    yield made
    await database.close()


@pytest.fixture
def find() -> Any:
    return only
