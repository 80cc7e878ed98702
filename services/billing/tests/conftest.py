"""Billing's books, in memory and on a real Postgres: the same suite runs on both."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from billing.domain.accounts import Account
from billing.domain.orders import Order
from billing.domain.pace import Pace
from billing.domain.terms import Terms
from billing.handlers.open_account import open_account
from billing.handlers.orders_and_grants import place_and_grant
from billing.handlers.record_job_succeeded import record_jobs_succeeded
from billing.main import MIGRATIONS, SCHEMA, postgres_books
from billing.ports import Books
from billing.testing import (
    WORKFLOWS,
    FakeQueues,
    Tables,
    fake_books,
    order_of,
    received,
)
from chassis.clock import id_floor, new_id
from chassis.consumers import Received
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.testing import FakeClock
from contracts import access, billing, gateway, generator, operators, rewards, vpn
from contracts.envelope import Message, contracts_of
from contracts.ids import derived_id, uuid7_time
from contracts.media import MediaRef
from devstack.testing import DatabaseServer, empty_schema, migrated_database, run_blocking

CONTRACTS = contracts_of(access, billing, gateway, generator, operators, rewards, vpn)
ALL_LOTS = list(range(1, 20))
MORNING = datetime.fromisoformat("2026-11-20T12:00:00+00:00")


class FakeUnitOfWork(UnitOfWork):
    """For books without a database: what was said last is kept in memory too."""

    def __init__(self, words: dict[str, datetime], now: datetime) -> None:
        super().__init__(cast("Any", None), now)
        self._words = words

    async def is_last_word(self, name: str, said: UUID | None = None) -> bool:
        word = uuid7_time(said or self.message_id or new_id())
        newest = self._words.setdefault(name, word) <= word
        self._words[name] = max(word, self._words[name])
        return newest


class Desk:
    """Runs handlers the way the consumer does and reads the books back."""

    def __init__(self, books: Books, clock: FakeClock, database: Database | None) -> None:
        self.books = books
        self.clock = clock
        self.database = database
        self.queues = FakeQueues()
        self.terms = Terms(zone=ZoneInfo("UTC"))
        self._words: dict[str, datetime] = {}
        self.pace = Pace({"image.product_scene": 8.0}, seen_within=timedelta(minutes=10))
        self._outbox = Outbox(database, cast("Any", None), clock) if database is not None else None

    @property
    def outbox(self) -> Outbox:
        assert self._outbox is not None
        return self._outbox

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        if self._outbox is None:
            yield FakeUnitOfWork(self._words, self.clock.now())
            return
        async with self._outbox.begin() as uow:
            yield uow

    def received(self, messages: Sequence[Message], said: UUID | None) -> list[Received[Any]]:
        """Messages as they come by the desk's clock, each under an id of its own."""
        now = id_floor(self.now)
        return [received(each, message_id=said or derived_id(now, new_id())) for each in messages]

    async def batch(
        self, handler: Any, *messages: Message, said: UUID | None = None, **parts: Any
    ) -> list[Any]:
        """One transaction of a batch handler; returns what it emitted.

        `said`: the id they came under, where it matters when that was.
        """
        async with self.begin() as uow:
            keys = sorted({key for each in messages for key in each.lock_keys()})
            await self.books.accounts.lock(uow.connection, keys)
            await handler(self.received(messages, said), uow, **parts)
        return decoded(uow)

    async def sweep(self, handler: Any, **parts: Any) -> list[Any]:
        async with self.begin() as uow:
            await handler(uow, books=self.books, terms=self.terms, **parts)
        return decoded(uow)

    async def open(self, *user_ids: int, amount: int = 0) -> None:
        for user_id in user_ids:
            async with self.begin() as uow:
                command = billing.OpenAccount(user_id=user_id)
                await open_account(command, uow, books=self.books, terms=self.terms)
            if amount:
                await self.grant(user_id, amount)

    async def grant(self, user_id: int, amount: int, **fields: Any) -> list[Any]:
        values = {
            "grant_key": f"key:{user_id}:{amount}",
            "reason": "test",
            "actor": "test",
            "lot": "paid",
            **fields,
        }
        command = billing.GrantCredits(user_id=user_id, credits=amount, **values)
        return await self.place(command)

    async def place(self, *commands: billing.PlaceOrder | billing.GrantCredits) -> list[Any]:
        """One batch of orders and grants, in this order."""
        return await self.batch(
            place_and_grant,
            *commands,
            books=self.books,
            queues=self.queues,
            catalogue=WORKFLOWS,
            terms=self.terms,
        )

    async def placed(self, user_id: int, **fields: Any) -> billing.PlaceOrder:
        command = order_of(user_id, self.now, **fields)
        await self.place(command)
        assert (await self.order(command.order_id)).state == "accepted"
        return command

    async def succeed(self, *orders: billing.PlaceOrder) -> list[Any]:
        events = [
            generator.JobSucceeded(
                order_id=order.order_id, user_id=order.user_id, epoch=1, outputs=(RESULT,)
            )
            for order in orders
        ]
        return await self.batch(
            record_jobs_succeeded, *events, books=self.books, pace=self.pace, terms=self.terms
        )

    async def account(self, user_id: int) -> Account:
        async with self.begin() as uow:
            return (await self.books.accounts.load(uow.connection, [user_id], ALL_LOTS))[user_id]

    async def order(self, order_id: UUID) -> Order:
        async with self.begin() as uow:
            return (await self.books.orders.load(uow.connection, [order_id]))[order_id]


RESULT = MediaRef(
    name="result", object_key="results/1.png", sha256="0" * 64, mime="image/png", size_bytes=10
)


def decoded(uow: UnitOfWork) -> list[Any]:
    found: list[Any] = []
    for row in uow.rows:
        kind = CONTRACTS.get(row.subject) or generator.RunJob
        found.append(kind.decode(row.body))
    return found


def headers_of(uow: UnitOfWork) -> list[dict[str, str]]:
    return [json.loads(row.headers) for row in uow.rows]


def of_kind(messages: Sequence[Any], kind: type[Any]) -> list[Any]:
    return [each for each in messages if isinstance(each, kind)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture(scope="session")
def migrated_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """One migrated database for all of billing's tests: making one costs half a second."""

    async def make_partitions(dsn: str) -> None:
        opened = await Database.connect(dsn, schema=SCHEMA, pool_max=2)
        await Outbox(opened, cast("Any", None), FakeClock(MORNING)).partitions.maintain()
        await opened.close()

    with migrated_database(postgres_server, SCHEMA, MIGRATIONS) as dsn:
        run_blocking(make_partitions(dsn))
        yield dsn


@pytest.fixture
async def database(migrated_dsn: str) -> AsyncIterator[Database]:
    opened = await Database.connect(migrated_dsn, schema=SCHEMA, pool_max=4)
    async with opened.read() as connection:
        await empty_schema(connection, SCHEMA)
    yield opened
    await opened.close()


@pytest.fixture(params=["fake", "postgres"])
def desk(request: pytest.FixtureRequest, clock: FakeClock) -> Desk:
    if request.param == "fake":
        return Desk(fake_books(Tables()), clock, None)
    return request.getfixturevalue("postgres_desk")


@pytest.fixture
async def postgres_desk(database: Database, clock: FakeClock) -> Desk:
    return Desk(postgres_books(), clock, database)


@pytest.fixture
async def desk_of_today(postgres_desk: Desk) -> AsyncIterator[Desk]:
    """For tests beside something that lives today: the database has days for that, too."""
    desk, morning = postgres_desk, postgres_desk.now
    desk.clock.moment = datetime.now(UTC)
    await desk.outbox.partitions.maintain()
    yield desk
    desk.clock.moment = morning
    await desk.outbox.partitions.maintain()
