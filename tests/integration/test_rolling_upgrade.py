"""The last release becomes this one under load, and this one the last again: nobody notices.

The services of both releases run side by side on one schema and one set of streams, each service
replaced while people order. VITRINE_LAST_RELEASE names another commit than devstack.releases does.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest

from chassis.broker import Broker
from contracts.billing import GrantCredits
from contracts.ids import UserId
from contracts.money import Credits
from devstack.chaos import run as chaos
from devstack.chaos.judgement import Seen, judge
from devstack.chaos.people import Log, Person, Screens
from devstack.chaos.subscribers import WANTED, Subscriber
from devstack.releases import LAST_RELEASE, Release, RollingShop, rolling_shop, unpacked
from devstack.settings import REPOSITORY
from devstack.testing import wait_until

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.timeout(600)]

FORWARD = ("scheduler", "vpn", "generator", "billing", "gateway")
"""Who consumes comes before who produces: an old release knows no new message."""
PEOPLE = 4
TOGETHER = 3
"""So many orders end while a service's two releases both run."""
PATIENCE_SECONDS = 90.0
SCHEMAS = ("gateway", "billing", "vpn", "scheduler")


class Load:
    """People who order without a pause, and what came of it."""

    def __init__(self, shop: RollingShop) -> None:
        self.log = Log()
        self.ended = asyncio.Event()
        self._stage = shop.stage
        self._screens = Screens(shop.stage)
        first = random.randrange(10**8, 10**9)
        self.people = [
            Subscriber(shop.stage, self._screens, first + number, number, self.log)
            for number in range(PEOPLE)
        ]

    async def begin(self, broker: Broker) -> None:
        await asyncio.gather(*(person.begin() for person in self.people))
        await wait_until(lambda: chaos._accounts(self._stage, PEOPLE), "accounts", PATIENCE_SECONDS)
        for person in self.people:
            grant = GrantCredits(
                grant_key=f"rolling:{person.user_id}",
                user_id=UserId(person.user_id),
                credits=Credits(1_000),
                reason="rolling",
                actor=f"rolling {person.user_id}",
            )
            await chaos.send(broker, grant)

    async def run(self) -> None:
        async def order(person: Person) -> None:
            while not self.ended.is_set():
                await person.order()

        async with asyncio.TaskGroup() as group:
            read = asyncio.Event()
            group.create_task(self._screens.watch(read))
            await asyncio.gather(*(order(person) for person in self.people))
            read.set()

    async def subscribe(self, people: Sequence[Subscriber]) -> None:
        """Let these buy VPN access too, one plan after the other."""
        await asyncio.gather(*(person.buy_access() for person in people))

    async def more(self, count: int) -> None:
        """Wait until so many more orders have ended."""
        wanted = len(self.log.placed) + count

        async def enough() -> bool:
            return len(self.log.placed) >= wanted

        await wait_until(enough, f"{wanted} orders", PATIENCE_SECONDS)


async def roll(shop: RollingShop, load: Load, names: Sequence[str], release: Release) -> None:
    """Replace one service after the other; each pair works together for a while."""
    for name in names:
        together = asyncio.Event()

        async def watched(together: asyncio.Event = together) -> None:
            await load.more(TOGETHER)
            together.set()

        replacing = asyncio.ensure_future(shop.replace(name, release, together))
        if len(shop.running[name]) == 1 and name != "generator":
            await wait_until(lambda name=name: _both(shop, name), f"two of {name}", 30.0)
        await asyncio.gather(replacing, watched())
        assert [each.name for each, _ in shop.running[name]] == [release.name]


async def _both(shop: RollingShop, name: str) -> bool:
    return len(shop.running[name]) == 2


async def consumers(broker: Broker) -> Mapping[tuple[str, str], datetime]:
    """Every durable consumer, and when it was made: one made anew has lost its position."""
    jetstream = broker.nc.jetstream()
    found = {}
    for stream in await jetstream.streams_info():
        name = str(stream.config.name)
        for each in await jetstream.consumers_info(name):
            if each.config.durable_name:
                found[name, each.name] = each.created
    return found


async def steps(shop: RollingShop) -> Mapping[str, frozenset[str]]:
    """Which migrations each schema has had."""
    found = {}
    connection = await asyncpg.connect(shop.stage.urls["database"])
    for schema in SCHEMAS:
        rows = await connection.fetch(f"SELECT key FROM {schema}.schema_version")
        found[schema] = frozenset(row["key"] for row in rows)
    await connection.close()
    return found


@asynccontextmanager
async def operator(shop: RollingShop) -> AsyncIterator[Broker]:
    broker = await Broker.connect(shop.stage.urls["nats"], name="rolling", on_fatal=lambda _: None)
    try:
        yield broker
    finally:
        await broker.close()


async def judged(shop: RollingShop, load: Load) -> list[str]:
    """What is wrong: with money, with orders, with what came to the chats, with what is parked."""
    problems = await chaos._settle(shop.stage)
    seen = Seen(
        placed=load.log.placed,
        updates=await chaos._updates_sent(shop.stage),
        results=await chaos._results_seen(shop.stage, load.people),
        crashes=(),
        troubles=(),
        timer_keys=(),
        claim_silence=30.0,
        # Nobody measures here how late clocks read; a starting process is the slowest thing.
        round_trip=1.0,
    )
    connection = await shop.stage.connect()
    findings = await judge(connection, seen)
    await connection.close()
    broken = [f"{each.says}: {each.broken}" for each in findings if each.broken]
    return [*problems, *load.log.given_up, *broken]


async def test_a_release_rolls_forward_and_back_under_load(tmp_path: Path) -> None:
    last = unpacked(LAST_RELEASE, tmp_path)
    if last is None:
        # A shallow clone is no fault of the code's, in CI either.
        pytest.skip(f"ROLLING UPGRADE NOT TESTED: git does not know {LAST_RELEASE} here")
    # The documented way: signatures are only observed until no process of the last release is left.
    this = Release("this", REPOSITORY, {"SIGNATURES": "observe"})
    async with rolling_shop() as shop, operator(shop) as broker:
        await shop.prepare(last)
        await asyncio.gather(*(shop.start(name, last) for name in shop.names))
        await shop.stage.comfyui("time_scale", {"time_scale": 0.05})
        load = Load(shop)
        await load.begin(broker)
        ordering = asyncio.ensure_future(load.run())
        try:
            await load.more(TOGETHER)
            known = await consumers(broker)
            await shop.prepare(this)
            schema = await steps(shop)
            for people, order, release in (
                (load.people[::2], FORWARD, this),
                (load.people[1::2], tuple(reversed(FORWARD)), last),
            ):
                buying = asyncio.ensure_future(load.subscribe(people))
                await roll(shop, load, order, release)
                await load.more(TOGETHER)
                await buying
        except BaseException:
            ordering.cancel()
            raise
        load.ended.set()
        await ordering

        assert await judged(shop, load) == []
        assert {
            key: made for key, made in (await consumers(broker)).items() if key in known
        } == known
        # Back means the code alone: what the new release made of the schema stays.
        assert await steps(shop) == schema
        assert load.log.access == {"paid": PEOPLE * len(WANTED)}
        assert len(load.log.placed) >= TOGETHER * (2 * len(FORWARD) + 3)
