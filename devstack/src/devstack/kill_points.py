"""One service behind a wire that counts its statements, to be killed -9 at each of them in turn."""

import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import nats
from nats.aio.msg import Msg

from chassis import bootstrap, migrations
from chassis.broker import Broker
from chassis.clock import new_id
from chassis.database import Database
from contracts.envelope import Headers, Message
from contracts.ids import MessageId
from devstack.health import answers_ok
from devstack.ports import LOOPBACK, is_free
from devstack.postgres_proxy import AFTER, Point, PostgresProxy, Watch
from devstack.testing import DatabaseServer, ended, fresh_database, private_nats, wait_until
from devstack.warm_starts import WarmStarts

SWEEP = "SELECT day, id, subject, headers, body FROM outbox WHERE published_at IS NULL"
CLAIM = "WITH claimed AS ("
UNCOUNTED = (SWEEP, "SELECT 1", "SELECT count(*) AS waiting", "SELECT min(due_at) FROM effects")
"""What the runtime looks at by itself, again and again."""
SWEEP_EVERY_SECONDS = 2.0
SWEPT_WITHIN_SECONDS = 1.3
"""Sweeper and claimer each run every two seconds: at some moment both ran so shortly ago."""
IDLE_SECONDS = 0.05
TRIES_MAX = 10
SPARE = 8
STRUCK_SECONDS = 30.0
READY_SECONDS = 30.0
SETTLED_SECONDS = 30.0

M = TypeVar("M", bound=Message)
C = TypeVar("C")


class Victim:
    """The service, what it is connected to, and what it told."""

    def __init__(self, name: str, broker: Broker, database: Database) -> None:
        self.name = name
        self.broker = broker
        self.database = database
        """A connection past the wire."""
        self.watch = Watch(self._kill, self._uncounted)
        self.told: list[Message] = []
        """Every event the stream holds, once each."""
        self.pid = 0
        self.kills = 0
        self._unhandled: list[UUID] = []
        self._claims_count = False
        self._warm: WarmStarts | None = None
        self._environment: Mapping[str, str] = {}

    @asynccontextmanager
    async def listening(self, url: str, known: Mapping[str, type[Message]]) -> AsyncIterator[None]:
        """Fill `told`, by a connection of its own."""

        async def hear(message: Msg) -> None:
            self.told.append(known[message.subject].decode(message.data))

        client = await nats.connect(url)
        try:
            jetstream = client.jetstream()
            await jetstream.subscribe(f"{self.name}.evt.>", ordered_consumer=True, cb=hear)
            yield
        finally:
            await client.close()

    async def start(self, warm: WarmStarts, environment: Mapping[str, str]) -> None:
        """Start it for the first time; `environment` is its whole one."""
        self._warm, self._environment = warm, environment
        await self._start()

    async def become(self, environment: Mapping[str, str]) -> None:
        """Go on with another environment, if it is another."""
        if environment == self._environment:
            return
        os.kill(self.pid, signal.SIGKILL)
        self._environment = environment
        await self.start_again()

    async def start_again(self) -> None:
        """After the kill. The leases of what it was doing run out at once, not in a minute."""
        await wait_until(lambda: ended(self.pid), f"SIGKILL ends {self.name}")
        # A dead process keeps its sockets until the last of its threads is gone, too.
        ports = [
            int(value)
            for name, value in self._environment.items()
            if name.startswith(f"{self.name.upper()}_") and name.endswith("_PORT")
        ]
        await wait_until(lambda: all(map(is_free, ports)), f"the ports of {self.name} are free")
        await self.rows("UPDATE effects SET leased_until = now() WHERE leased_until > now()")
        await self._start()

    async def _start(self) -> None:
        assert self._warm is not None
        self._claims_count = False
        self.pid = await self._warm.start(self._environment)
        port = self._environment[f"{self.name.upper()}_HEALTH_PORT"]
        ready_url = f"http://{LOOPBACK}:{port}/readyz"
        await wait_until(lambda: answers_ok(ready_url), f"{self.name} is ready", READY_SECONDS)

    async def redeliver_after(self, wait: timedelta, streams: Sequence[str]) -> None:
        """Have the server hand out again so soon what a dead process held."""
        for stream in streams:
            info = await self.broker.api(f"CONSUMER.INFO.{stream}.{self.name}")
            config = {**info["config"], "ack_wait": int(wait.total_seconds() * 1e9)}
            request = {"stream_name": stream, "config": config, "action": "update"}
            await self.broker.api(f"CONSUMER.CREATE.{stream}.{self.name}", request)

    async def publish(self, messages: Iterable[Message]) -> None:
        for each in messages:
            message_id = new_id()
            headers = Headers(id=MessageId(message_id)).to_wire()
            await self.broker.publish(each.subject, each.encode(), headers)
            self._unhandled.append(message_id)

    async def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self.database.read() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    def events(self, kind: type[M], **fields: object) -> list[M]:
        return [
            each
            for each in self.told
            if isinstance(each, kind)
            and all(getattr(each, name) == value for name, value in fields.items())
        ]

    async def settled(self) -> None:
        """Wait until nothing waits: outbox drained, effects made, messages acknowledged."""

        async def settled() -> bool:
            # In the order in which one leads to the other, or what moves on would be missed. Not
            # by what is pending alone: the server counts a message there a moment after the ack.
            handled = "SELECT count(*) FROM inbox WHERE id = ANY($1)"
            if await self.rows(handled, self._unhandled) != [(len(self._unhandled),)]:
                return False
            streams = (self.name.upper(), "EVENTS")
            states = [await self.broker.consumer_info(each, self.name) for each in streams]
            held = sum(each.num_pending + each.num_ack_pending for each in states)
            waiting = await self.rows("SELECT count(*) FROM effects WHERE state = 'due'")
            waiting += await self.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            return held == 0 and waiting == [(0,), (0,)] and await self._heard_all()

        await wait_until(settled, "nothing waits", SETTLED_SECONDS)
        self._unhandled.clear()

    async def _heard_all(self) -> bool:
        subjects = f"{self.name}.evt.>"
        info = await self.broker.api("STREAM.INFO.EVENTS", {"subjects_filter": subjects})
        stored: Mapping[str, int] = info["state"].get("subjects", {})
        return sum(stored.values()) == len(self.told)

    async def arm(self, point: Point | None, *, claims: bool) -> Callable[[], bool]:
        """Begin to count, just after the runtime's own looks; strike at `point`.

        `claims`: effects are made, so their claims count. The answer says whether none of the
        runtime's looks was due since: what was counted then belongs to what was triggered.
        """
        self._claims_count = False
        await wait_until(self._is_calm, f"{self.name} has looked around and is idle")
        until = self._looked_at() + SWEEP_EVERY_SECONDS
        self._claims_count = claims
        self.watch.arm(point)
        return lambda: self.watch.last_at < until

    def _is_calm(self) -> bool:
        now = time.monotonic()
        looked, idle = now - self._looked_at(), now - self.watch.last_at
        return looked < SWEPT_WITHIN_SECONDS and idle > IDLE_SECONDS

    def _looked_at(self) -> float:
        """When the one of sweeper and claimer that ran less recently ran."""
        moments = self.watch.ignored_at.items()
        return min(
            max((at for text, at in moments if text.startswith(look)), default=0.0)
            for look in (SWEEP, CLAIM)
        )

    def _uncounted(self, statement: str) -> bool:
        if statement.startswith(CLAIM):
            return not self._claims_count
        return statement.startswith(UNCOUNTED) or "pg_catalog" in statement

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.kills += 1


class Wired(NamedTuple):
    """A victim that is not started yet, and the addresses it is to be given."""

    victim: Victim
    dsn: str
    """Through the wire."""
    nats_url: str


@asynccontextmanager
async def behind_a_wire(
    name: str,
    server: DatabaseServer,
    *,
    migrations_folder: Path,
    known: Mapping[str, type[Message]],
    ack_wait: timedelta,
) -> AsyncIterator[Wired]:
    """A fresh database with the service's schema, a nats-server of its own, the wire between."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        dsn = await enter(fresh_database(server))
        url = (await enter(private_nats())).url
        await migrations.migrate(dsn, schema=name, folder=migrations_folder)
        broker = await Broker.connect(url, name="test", on_fatal=_fatal)
        stack.push_async_callback(broker.close)
        await bootstrap.apply(broker)
        database = await Database.connect(dsn, schema=name, pool_max=2)
        stack.push_async_callback(database.close)
        victim = Victim(name, broker, database)
        await victim.redeliver_after(ack_wait, (name.upper(), "EVENTS"))
        await enter(victim.listening(url, known))
        port = urlsplit(dsn).port
        assert port is not None
        proxy = PostgresProxy(port, victim.watch)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        yield Wired(victim, dsn.replace(f":{port}/", f":{proxy.port}/"), url)


def _fatal(reason: str) -> None:
    raise AssertionError(reason)


def moments_of(clean: Sequence[Point], *, everything: bool) -> Iterator[Point]:
    """Where to strike, given what a clean run counted.

    Before each statement; and after its answer, where the next one is not sent at once in the
    same transaction, or `everything` is asked for.
    """
    inside = False
    for each in clean:
        yield each
        word = each.statement.split(" ", 1)[0].rstrip(";")
        inside = word == "BEGIN" or (inside and word not in ("COMMIT", "ROLLBACK"))
        if everything or not inside:
            yield each._replace(moment=AFTER)


class Way(Protocol[C]):
    """One way through the service's code: from its trigger until nothing waits."""

    victim: Victim

    @property
    def calls_out(self) -> bool:
        """Whether it makes effects, whose claims then belong to it."""
        ...

    async def prepare(self, number: int) -> list[C]:
        """Make cases of which each can be begun once; nobody is killed."""
        ...

    async def begin(self, case: C) -> None:
        """Pull the trigger."""
        ...

    async def go_on(self, case: C) -> None:
        """Do what the outside does again because it was not answered."""
        ...

    async def judge(self, cases: list[C]) -> None:
        """Raise AssertionError where anything is not as if nobody had been killed."""
        ...


async def clean_run(way: Way[C]) -> list[Point]:
    """What is counted when nobody is killed: two runs must agree."""
    runs: list[list[Point]] = []
    for case in await way.prepare(TRIES_MAX):
        undisturbed = await way.victim.arm(None, claims=way.calls_out)
        await way.begin(case)
        await way.victim.settled()
        seen = list(way.victim.watch.seen)
        if undisturbed():
            runs.append(seen)
        await way.judge([case])
        if len(runs) > 1 and Counter(runs[-1]) == Counter(runs[-2]):
            return runs[-1]
    raise AssertionError(f"no two clean runs are alike: {[len(each) for each in runs]}")


async def strike(way: Way[C], point: Point, spare: list[C]) -> list[C]:
    """Kill the service at the point, start it again, judge; return the cases that took.

    On a busy machine the runtime's own looks disturb many a try: cases are made as needed.
    """
    victim = way.victim
    used: list[C] = []
    while len(used) < TRIES_MAX:
        if not spare:
            spare += await way.prepare(SPARE)
        case = spare.pop()
        used.append(case)
        undisturbed = await victim.arm(point, claims=way.calls_out)
        await way.begin(case)
        await wait_until(victim.watch.struck.is_set, f"struck {point}", STRUCK_SECONDS)
        exactly = undisturbed()
        await victim.start_again()
        await way.go_on(case)
        await victim.settled()
        await way.judge([case])
        if exactly:
            return used
    raise AssertionError(f"{point}: always disturbed by the runtime's own looks")


async def strike_all(way: Way[C], *, everything: bool) -> tuple[list[Point], list[C]]:
    """Strike once at every moment a clean run has; return the moments, and the cases they took."""
    clean = await clean_run(way)
    points = list(moments_of(clean, everything=everything))
    kills_before = way.victim.kills
    began = time.monotonic()
    spare = await way.prepare(len(points) + SPARE)
    cases: list[C] = []
    for point in points:
        cases += await strike(way, point, spare)
    kills = way.victim.kills - kills_before
    assert kills == len(cases) >= len(points)
    seconds = time.monotonic() - began
    counts = f"{len(clean)} statements, {len(points)} moments, {kills} kills"
    print(f"{type(way).__name__}: {counts}, {seconds:.0f} s")
    return points, cases
