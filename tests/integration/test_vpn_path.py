"""VPN access as people have it: bought in the chat, used through real clients on real nodes.

A day lasts eight seconds here (conftest), and the grace three; nothing else is out of the common.
`--full` keeps the control plane away for the five minutes it must be able to be away.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from devstack.stage import Stage
from devstack.testing import wait_until
from devstack.vpn_customer import BOUGHT, IN_GRACE, OFF, RENEW, RENEWED, VpnCustomer
from simulators.vless_node.client import VlessClient, vless_client
from simulators.vless_node.target import Target

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.asyncio(loop_scope="session")]

log = logging.getLogger(__name__)
NODES = 3
PATIENCE_SECONDS = 30.0
TRY_SECONDS = 2.0
AWAY_SECONDS, AWAY_FULL_SECONDS = 10.0, 300.0
"""A node is asked how it is, and compared, every second."""
GRACE = timedelta(seconds=3)
MONTH_SECONDS = 16.0


class Devices:
    """One person's apps: a client for every server of the link, as it was read once."""

    def __init__(self, clients: Sequence[VlessClient]) -> None:
        self.clients = clients

    async def passing(self) -> list[bool]:
        tries = (each.passes(TRY_SECONDS) for each in self.clients)
        return list(await asyncio.gather(*tries))

    async def pass_everywhere(self) -> bool:
        return all(await self.passing())

    async def pass_nowhere(self) -> bool:
        return not any(await self.passing())


Connect = Callable[[VpnCustomer], Awaitable[Devices]]


@asynccontextmanager
async def connections(v2ray: str) -> AsyncIterator[Connect]:
    """What reads somebody's link and connects to every server in it."""
    async with AsyncExitStack() as stack:
        target = Target()
        await target.start()
        stack.push_async_callback(target.stop)

        async def connected(person: VpnCustomer) -> Devices:
            servers = await person.servers()
            assert len(servers) == NODES
            doors = [vless_client(each, v2ray=v2ray, target=target) for each in servers]
            return Devices([await stack.enter_async_context(each) for each in doors])

        yield connected


@pytest_asyncio.fixture(loop_scope="session")
async def connect(v2ray: str) -> AsyncIterator[Connect]:
    async with connections(v2ray) as connected:
        yield connected


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bystander(vpn_shop: Stage, new_user: Iterator[int]) -> VpnCustomer:
    """Somebody with hours of access, to whom nothing that happens here may matter."""
    person = VpnCustomer(vpn_shop, next(new_user))
    await person.start()
    await person.buy("vpn_long")
    return person


@pytest_asyncio.fixture(loop_scope="session")
async def person(vpn_shop: Stage, new_user: Iterator[int]) -> VpnCustomer:
    made = VpnCustomer(vpn_shop, next(new_user))
    await made.start()
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stories(
    vpn_shop: Stage, new_user: Iterator[int], v2ray: str
) -> AsyncIterator[Mapping[str, Awaitable[None]]]:
    """What is mostly waiting for a period's end: begun together, each judged by its own test."""
    told = (a_plan_goes_on_where_the_trial_ends, a_renewal_interrupts_nothing, grace_and_the_end)
    async with connections(v2ray) as connect, AsyncExitStack() as stack:
        begun = {}
        for story in told:
            person = VpnCustomer(vpn_shop, next(new_user))
            begun[story.__name__] = task = asyncio.ensure_future(story(person, connect))
            stack.callback(task.cancel)
        yield begun


async def soon(check: Callable[[], Awaitable[bool]], what: str) -> float:
    """Wait for it; returns how long that took."""
    began = time.monotonic()
    await wait_until(check, what, PATIENCE_SECONDS)
    return time.monotonic() - began


@asynccontextmanager
async def uninterrupted(devices: Devices) -> AsyncIterator[None]:
    """A download through every server lives from begin to end, without a stall."""
    streams = [await each.stream() for each in devices.clients]
    yield
    assert [await each.goes_on() for each in streams] == [True] * len(streams)
    for each in streams:
        await each.close()


async def end_of_period(until: datetime) -> None:
    await asyncio.sleep(max((until - datetime.now(UTC)).total_seconds(), 0.0))


async def test_a_replaced_key_is_refused_everywhere_and_the_new_one_passes(
    stories: Mapping[str, object],
    person: VpnCustomer,
    bystander: VpnCustomer,
    connect: Connect,
) -> None:
    assert stories, "they run meanwhile"
    others = await connect(bystander)
    await person.buy("vpn_long")
    lost = await connect(person)
    await soon(lost.pass_everywhere, "traffic")
    link = await person.link()

    async with uninterrupted(others):
        await person.rotate()
        assert await lost.passing() == [False] * NODES, "told, so it must be true"

    found = await connect(person)
    await soon(found.pass_everywhere, "traffic by the new key")
    assert await person.link() == link
    assert {each.params.key for each in found.clients}.isdisjoint(
        each.params.key for each in lost.clients
    )


async def test_a_plan_goes_on_where_the_trial_ends(
    stories: Mapping[str, Awaitable[None]],
) -> None:
    await stories["a_plan_goes_on_where_the_trial_ends"]


async def test_a_renewal_interrupts_nothing(stories: Mapping[str, Awaitable[None]]) -> None:
    await stories["a_renewal_interrupts_nothing"]


async def test_who_ran_out_has_the_grace_and_is_refused_everywhere(
    stories: Mapping[str, Awaitable[None]],
) -> None:
    await stories["grace_and_the_end"]


async def a_plan_goes_on_where_the_trial_ends(person: VpnCustomer, connect: Connect) -> None:
    await person.start()
    await person.top_up()
    await person.take_trial()
    devices = await connect(person)
    await soon(devices.pass_everywhere, "traffic on trial")
    trial_ends = await person.until()
    async with uninterrupted(devices):
        await person.buy("vpn_month")
        page = await person.page()
        await end_of_period(trial_ends)
        assert await devices.pass_everywhere()
    assert [place in page.text for place in ("🟢 Europe", "🟢 America", "🟢 Asia")] == [True] * 3
    assert (await person.until() - trial_ends).total_seconds() == MONTH_SECONDS
    assert await person.credits() == 20 + 100 - 50


async def a_renewal_interrupts_nothing(person: VpnCustomer, connect: Connect) -> None:
    await person.start()
    await person.top_up()
    await person.buy("vpn_month")
    await person.choose(RENEW, on=True)
    first = await person.until()
    devices = await connect(person)
    await soon(devices.pass_everywhere, "traffic on a plan")
    async with uninterrupted(devices):
        await person.hears(RENEWED)
        assert datetime.now(UTC) < first, "told before the period was over"
        await end_of_period(first)
        assert await devices.pass_everywhere()
    assert (await person.until() - first).total_seconds() == MONTH_SECONDS
    assert await person.credits() == 20 + 100 - 50 - 50
    assert await person.heard(RENEWED) == 1


async def grace_and_the_end(person: VpnCustomer, connect: Connect) -> None:
    await person.start()
    await person.buy("vpn_short")
    devices = await connect(person)
    await soon(devices.pass_everywhere, "traffic on a plan")
    until = await person.until()

    await person.hears(IN_GRACE)
    told = datetime.now(UTC)
    assert told >= until
    assert await devices.pass_everywhere() or datetime.now(UTC) > until + GRACE
    await soon(devices.pass_nowhere, "refused everywhere")
    assert datetime.now(UTC) > until + GRACE
    await person.hears(OFF)
    await person.buy("vpn_short")
    await soon(devices.pass_everywhere, "traffic again, by the same key")


@pytest.mark.parametrize(("node", "wipe"), [("local-1", False), ("local-2", True)])
async def test_a_node_that_died_serves_again_even_from_an_empty_disk(
    vpn_shop: Stage, bystander: VpnCustomer, connect: Connect, node: str, *, wipe: bool
) -> None:
    devices = await connect(bystander)
    await soon(devices.pass_everywhere, "traffic")
    key = devices.clients[0].params.key

    began = time.monotonic()
    old = vpn_shop.kill_node(node, wipe=wipe)

    # Not until somebody is refused: an app tries for as long as it may take to come back.
    async def another() -> bool:
        return vpn_shop.agents().get(node, old) != old

    await soon(another, "another agent")
    await soon(devices.pass_everywhere, f"{node} is back")

    log.info("%s was back after %.2f s (wiped: %s)", node, time.monotonic() - began, wipe)
    assert {each.params.key for each in (await connect(bystander)).clients} == {key}


@pytest.mark.timeout(AWAY_FULL_SECONDS + 180)
async def test_the_control_plane_may_be_dead_for_a_while(
    vpn_shop: Stage,
    person: VpnCustomer,
    new_user: Iterator[int],
    bystander: VpnCustomer,
    connect: Connect,
    pytestconfig: pytest.Config,
) -> None:
    """Who has paid goes on, who ran out is ended by the nodes themselves, who comes must wait."""
    away = AWAY_FULL_SECONDS if pytestconfig.getoption("--full") else AWAY_SECONDS
    newcomer = VpnCustomer(vpn_shop, next(new_user))
    await newcomer.start()
    others = await connect(bystander)
    await person.buy("vpn_short")
    devices = await connect(person)
    await soon(devices.pass_everywhere, "traffic on a plan")
    ends = await person.until() + GRACE
    checkout = await newcomer.offered("vpn_long")

    async with uninterrupted(others):
        async with vpn_shop.without("vpn"):
            began = time.monotonic()
            await newcomer.pay(checkout)
            await end_of_period(ends)
            await soon(devices.pass_nowhere, "refused by the nodes alone")
            log.info("refused within %.2f s of the end", (datetime.now(UTC) - ends).total_seconds())
            await asyncio.sleep(max(away - (time.monotonic() - began), 0.0))
            assert await others.pass_everywhere()
            assert await devices.pass_nowhere()
            assert not await person.heard(OFF)
            assert not await newcomer.heard(BOUGHT)
        await newcomer.hears(BOUGHT)
        arrived = await connect(newcomer)
        await soon(arrived.pass_everywhere, "who came meanwhile")
        await person.hears(OFF)

    assert await devices.pass_nowhere()
    assert await newcomer.credits() == 19
