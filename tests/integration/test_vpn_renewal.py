"""Renewal and reminders through billing, scheduler, vpn and the chat; days are short (conftest)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.ids import renewal_order_id
from devstack.stage import Stage
from devstack.testing import wait_until
from devstack.vpn_customer import (
    IN_GRACE,
    MORNING,
    NIGHT,
    NOON,
    OFF,
    REMIND,
    RENEW,
    RENEWED,
    SHORT,
    TRAFFIC_ADDED,
    VpnCustomer,
)

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.asyncio(loop_scope="session")]

ENDS_IN = "⏳ Your VPN ends"
PATIENCE_SECONDS = 40.0
ATTEMPTS = 3
# How often 3,660 days of eight seconds make so many days, counted in a zone where it is so late.
DAYS_LEFT = {3: (8, NOON), 2: (5, NOON), 1: (2, NOON), 0: (1, MORNING)}


@pytest.fixture
def people(vpn_shop: Stage, new_user: Iterator[int]) -> Sequence[VpnCustomer]:
    return [VpnCustomer(vpn_shop, next(new_user)) for _ in range(5)]


async def orders_of(person: VpnCustomer) -> list[tuple[UUID, int]]:
    """What was bought, in order, and what it cost."""
    rows = await person.stage.fetch(
        "SELECT order_id, price_credits FROM billing.orders "
        "WHERE user_id = $1 AND state = 'completed' ORDER BY placed_at",
        person.user_id,
    )
    return [(row["order_id"], row["price_credits"]) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stories(
    vpn_shop: Stage, new_user: Iterator[int]
) -> AsyncIterator[Mapping[str, Awaitable[None]]]:
    """What is mostly waiting for a period's end: begun together, each judged by its own test."""
    async with AsyncExitStack() as stack:
        begun = {}
        for story in (a_top_up_lets_it_go_on, without_one_it_ends):
            person = VpnCustomer(vpn_shop, next(new_user))
            begun[story.__name__] = task = asyncio.ensure_future(story(person))
            stack.callback(task.cancel)
        yield begun


async def has_too_little(person: VpnCustomer) -> None:
    """A plan that renews itself, and 20 credits for the 50 that it costs."""
    await person.start()
    await person.top_up()
    await person.buy("vpn_month")
    await person.buy("vpn_traffic_1", words=TRAFFIC_ADDED)
    await person.choose(RENEW, on=True)
    await person.hears(SHORT)


async def a_top_up_lets_it_go_on(person: VpnCustomer) -> None:
    await has_too_little(person)
    until = await person.until()

    await person.top_up()

    await person.hears(RENEWED)
    assert await person.until() > until
    await person.choose(RENEW, on=False)
    assert await person.heard(SHORT) == 1
    *_, (order_id, _) = bought = (await orders_of(person))[:3]
    assert [price for _, price in bought] == [50, 50, 50]
    assert order_id == renewal_order_id(await person.subscription(), until)


async def without_one_it_ends(person: VpnCustomer) -> None:
    await has_too_little(person)

    await person.hears(IN_GRACE)
    await person.hears(OFF)

    assert await person.heard(SHORT) == 1
    assert await person.heard(RENEWED) == 0
    assert await person.heard("You were not charged") == 0, "nobody asked for anything"
    assert await person.credits() == 20
    assert [price for _, price in await orders_of(person)] == [50, 50]
    rows = await person.stage.fetch(
        "SELECT renew_attempts, state FROM vpn.subscriptions WHERE user_id = $1", person.user_id
    )
    assert dict(rows[0]) == {"renew_attempts": ATTEMPTS, "state": "suspended"}


async def test_reminders_come_by_day_in_the_persons_zone_and_an_opt_out_silences_them(
    stories: Mapping[str, object], people: Sequence[VpnCustomer]
) -> None:
    """Everybody buys at night, then travels to where it is day."""
    assert stories, "they run meanwhile"
    *reminded, silent = people
    hours = [hour for _, hour in DAYS_LEFT.values()]
    counts = [count for count, _ in DAYS_LEFT.values()]
    async with asyncio.TaskGroup() as group:
        for person, count in zip(people, [*counts, 1], strict=True):
            group.create_task(buys_at_night(person, count))
    await silent.choose(REMIND, on=False)
    assert [await each.heard(ENDS_IN) for each in people] == [0] * len(people)

    for person, hour in zip(people, [*hours, MORNING], strict=True):
        await person.move(hour)
    for person, words in zip(
        reminded, ("in 3 days", "in 2 days", "in 1 day,", "today"), strict=True
    ):
        await person.hears(f"{ENDS_IN} {words}")

    await moved_on(silent)
    assert [await each.heard(ENDS_IN) for each in people] == [1, 1, 1, 1, 0]


async def buys_at_night(person: VpnCustomer, times: int) -> None:
    await person.start(NIGHT)
    for _ in range(times):
        await person.buy("vpn_long")


async def moved_on(person: VpnCustomer) -> None:
    """Until vpn knows where the person is."""

    async def known() -> bool:
        rows = await person.stage.fetch(
            "SELECT time_zone FROM vpn.people WHERE user_id = $1", person.user_id
        )
        return bool(rows[0]["time_zone"] == person.zone)

    await wait_until(known, "the new zone", PATIENCE_SECONDS)


async def test_short_of_credits_a_top_up_renews(stories: Mapping[str, Awaitable[None]]) -> None:
    await stories["a_top_up_lets_it_go_on"]


async def test_short_of_credits_it_ends_after_the_grace(
    stories: Mapping[str, Awaitable[None]],
) -> None:
    await stories["without_one_it_ends"]
