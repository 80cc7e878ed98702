"""People who order while services are replaced one after another, and what is judged then."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from chassis.broker import Broker
from contracts.billing import GrantCredits
from contracts.ids import UserId
from contracts.money import Credits
from devstack.chaos import run as chaos
from devstack.chaos.judgement import Seen, judge
from devstack.chaos.people import Log, Person, Screens
from devstack.chaos.subscribers import Subscriber
from devstack.releases import ALONE, Release, RollingShop
from devstack.testing import wait_until

FORWARD = ("scheduler", "vpn", "generator", "billing", "gateway")
"""Who consumes comes before who produces: an old release knows no new message."""
PEOPLE = 4
TOGETHER = 3
"""So many orders end while a service's two releases both run."""
PATIENCE_SECONDS = 90.0
SIDE_BY_SIDE_SECONDS = 30.0


class Load:
    """People who order without a pause, and what came of it."""

    def __init__(self, shop: RollingShop) -> None:
        self.log = Log()
        self.ended = asyncio.Event()
        self._stage = shop.stage
        self._screens = Screens(shop.stage)
        first = random.randrange(10**8, 10**9)  # noqa: S311 (not a secret)
        self.people = [
            Subscriber(shop.stage, self._screens, first + number, number, self.log)
            for number in range(PEOPLE)
        ]

    async def begin(self, broker: Broker) -> None:
        await asyncio.gather(*(person.begin() for person in self.people))
        await wait_until(lambda: chaos.accounts(self._stage, PEOPLE), "accounts", PATIENCE_SECONDS)
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


@asynccontextmanager
async def ordering(load: Load) -> AsyncIterator[None]:
    """Everybody orders meanwhile, and ends the order in hand at the end."""
    task = asyncio.ensure_future(load.run())
    try:
        yield
    except BaseException:
        task.cancel()
        raise
    load.ended.set()
    await task


async def roll(shop: RollingShop, load: Load, names: Sequence[str], release: Release) -> None:
    """Replace one service after the other; each pair works together for a while."""
    for name in names:
        together = asyncio.Event()

        async def watched(together: asyncio.Event = together) -> None:
            await load.more(TOGETHER)
            together.set()

        async def both(name: str = name) -> bool:
            return len(shop.running[name]) > 1

        replacing = asyncio.ensure_future(shop.replace(name, release, together))
        if len(shop.running[name]) == 1 and name not in ALONE:
            await wait_until(both, f"two of {name}", SIDE_BY_SIDE_SECONDS)
        await asyncio.gather(replacing, watched())
        assert [each.name for each, _ in shop.running[name]] == [release.name]


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


@asynccontextmanager
async def operator(shop: RollingShop) -> AsyncIterator[Broker]:
    """A connection that may do everything."""
    broker = await Broker.connect(
        shop.nats.url,
        name="rolling",
        identity=shop.stage.identity if shop.nats.secured else None,
        on_fatal=lambda _: None,
    )
    try:
        yield broker
    finally:
        await broker.close()


async def judged(shop: RollingShop, load: Load) -> list[str]:
    """What is wrong: with money, with orders, with what came to the chats, with what is parked."""
    problems = await chaos.settle(shop.stage)
    seen = Seen(
        placed=load.log.placed,
        updates=await chaos.updates_sent(shop.stage),
        results=await chaos.results_seen(shop.stage, load.people),
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
