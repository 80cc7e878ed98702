"""The scheduler is killed -9 at every statement from the claim to the mark; a timer fires once."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from chassis import bootstrap, migrations
from chassis.broker import Broker
from chassis.database import Database
from chassis.testing import drain
from devstack.ports import is_free
from devstack.postgres_proxy import AFTER, BEFORE, Point, PostgresProxy, Watch
from devstack.testing import (
    DatabaseServer,
    ended,
    free_port,
    fresh_database,
    private_nats,
    wait_until,
)
from devstack.warm_starts import WarmStarts, warm_starts
from scheduler.adapters.postgres import CLAIM, SETTLE
from scheduler.domain import ticks
from scheduler.main import MIGRATIONS, SCHEMA

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTBOX = "INSERT INTO outbox"
COMMIT = "COMMIT;"
MARK = "UPDATE outbox SET published_at"
FIRING = (CLAIM[:40], SETTLE[:40], OUTBOX, COMMIT, MARK)
"""How a firing's statements begin, in their order."""
MOMENTS = [(place, moment) for place in range(len(FIRING)) for moment in (BEFORE, AFTER)]
COMMITTED = MOMENTS.index((FIRING.index(COMMIT), AFTER))
SWEPT_WITHIN = timedelta(seconds=60)
"""What a dead process committed is published by another's sweep, two seconds later."""


class Scheduler:
    """The process behind the wire, and what it is to be killed at."""

    def __init__(self, broker: Broker, database: Database) -> None:
        self.watch = Watch(self._kill, self._uncounted)
        self.broker, self.database = broker, database
        """Past the wire."""
        self.statements: list[str] = []
        """Those of a firing, whole."""
        self._committing = False
        self._pid = 0

    async def start(self, warm: WarmStarts, environment: dict[str, str]) -> None:
        self._warm, self._environment = warm, environment
        await self.start_again()

    async def start_again(self) -> None:
        # A dead process keeps its sockets until the last of its threads is gone, too.
        port = int(self._environment["SCHEDULER_HEALTH_PORT"])
        await wait_until(lambda: is_free(port), "the scheduler's port is free")
        self.watch.arm()
        self._pid = await self._warm.start(self._environment)

    async def struck(self) -> None:
        await wait_until(self.watch.struck.is_set, "struck")
        await wait_until(lambda: ended(self._pid), "SIGKILL ends it")

    def _uncounted(self, statement: str) -> bool:
        """Only a firing's own statements count, and of the commits only the one that follows."""
        if statement.startswith(COMMIT) and self._committing:
            self._committing = False
            return False
        self._committing = self._committing or statement.startswith(OUTBOX)
        return statement.startswith(COMMIT) or not statement.startswith(FIRING)

    def _kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    async def arm(self, name: str) -> str:
        """Set a timer that is due, and return the subject it fires, which is its key as well."""
        subject = f"vpn.cmd.{name}.v1"
        async with self.database.read() as connection:
            await connection.execute(
                "INSERT INTO timers (key, version, due_at, fire_subject, fire_body, traceparent, "
                "state, changed_at) VALUES ($1, 1, now(), $1, '', '', 'armed', now())",
                subject,
            )
        return subject

    async def state(self, key: str) -> str:
        async with self.database.read() as connection:
            return await connection.fetchval("SELECT state FROM timers WHERE key = $1", key)

    async def published(self, subject: str) -> int:
        """Wait until its message is marked as published, and return how many the stream has."""

        async def marked() -> bool:
            async with self.database.read() as connection:
                return await connection.fetchval(
                    "SELECT count(*) = 1 AND count(published_at) = 1 FROM outbox "
                    "WHERE subject = $1",
                    subject,
                )

        await drain(marked, within=SWEPT_WITHIN, what="its one message, published")
        info = await self.broker.api("STREAM.INFO.VPN", {"subjects_filter": subject})
        return int(info["state"].get("subjects", {}).get(subject, 0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scheduler(postgres_server: DatabaseServer) -> AsyncIterator[Scheduler]:
    """The scheduler behind the wire; one firing was seen, so that its statements are known."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        dsn = await enter(fresh_database(postgres_server))
        url = (await enter(private_nats())).url
        await migrations.migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
        broker = await Broker.connect(url, name="test", on_fatal=pytest.fail)
        stack.push_async_callback(broker.close)
        await bootstrap.apply(broker)
        database = await Database.connect(dsn, schema=SCHEMA, pool_max=2)
        stack.push_async_callback(database.close)
        victim = Scheduler(broker, database)
        port = urlsplit(dsn).port
        proxy = PostgresProxy(port, victim.watch)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        environment = {
            **os.environ,
            "SCHEDULER_DATABASE_URL": dsn.replace(f":{port}/", f":{proxy.port}/"),
            "SCHEDULER_NATS_URL": url,
            "SCHEDULER_SIGNATURES": "off",
            "SCHEDULER_HEALTH_PORT": str(free_port()),
            "SCHEDULER_LOG_LEVEL": "error",
            "SCHEDULER_IDLE_WAIT": "0.1",
            **{f"SCHEDULER_{tick.upper()}_EVERY": "0" for tick in ticks.KINDS},
        }
        await victim.start(await enter(warm_starts("scheduler", "scheduler.cli")), environment)
        assert await victim.published(await victim.arm("undisturbed")) == 1
        victim.statements = [each.statement for each in victim.watch.seen]
        yield victim


async def test_a_firing_has_the_statements_that_are_struck(scheduler: Scheduler) -> None:
    assert len(scheduler.statements) == len(FIRING)
    assert all(map(str.startswith, scheduler.statements, FIRING))


@pytest.mark.parametrize(
    ("number", "place", "moment"),
    [(number, *each) for number, each in enumerate(MOMENTS)],
    ids=[f"{moment} {FIRING[place][:20]}" for place, moment in MOMENTS],
)
async def test_a_timer_fires_once_wherever_its_process_is_killed(
    scheduler: Scheduler, number: int, place: int, moment: str
) -> None:
    scheduler.watch.arm(Point(scheduler.statements[place], 1, moment))
    subject = await scheduler.arm(f"case_{'abcdefghij'[number]}")
    await scheduler.struck()
    state = await scheduler.state(subject)

    await scheduler.start_again()

    assert await scheduler.published(subject) == 1
    assert state == ("fired" if number >= COMMITTED else "armed")
    assert await scheduler.state(subject) == "fired"
