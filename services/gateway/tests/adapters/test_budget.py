"""The send budget: one for all replicas, and silent for all after a 429."""

import asyncio
import itertools
import time
from datetime import timedelta

import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.key_value import KeyValue
from chassis.testing import FakeClock
from gateway.adapters.budget import BotBudget, ChatBudget, WouldWaitError

pytestmark = pytest.mark.asyncio(loop_scope="module")
BOTS = itertools.count(900)
LONG = timedelta(seconds=10)


@pytest_asyncio.fixture(loop_scope="module")
async def replicas(broker):
    """Two replicas' views of one bot's budget of 20 a second."""
    bot_id = next(BOTS)
    budgets = [
        BotBudget(KeyValue(broker, "buckets"), SystemClock(), bot_id=bot_id, per_second=20)
        for _ in range(2)
    ]
    following = [asyncio.create_task(each.follow()) for each in budgets]
    yield budgets
    for each in budgets:
        await each.stop()
    await asyncio.gather(*following)


async def test_all_replicas_together_stay_within_the_rate(broker):
    """On a clock that stands still: what is sent late does not count for another second."""
    clock, bot_id = FakeClock(), next(BOTS)
    budgets = [
        BotBudget(KeyValue(broker, "buckets"), clock, bot_id=bot_id, per_second=20)
        for _ in range(2)
    ]

    async def sent_in_this_second() -> int:
        sends = [each.acquire(wait_max=timedelta(0)) for each in budgets for _ in range(24)]
        found = await asyncio.gather(*sends, return_exceptions=True)
        assert all(each is None or isinstance(each, WouldWaitError) for each in found)
        return found.count(None)

    sent = []
    for _ in range(3):
        sent.append(await sent_in_this_second())
        clock.advance(timedelta(seconds=1))

    assert sent == [20, 20, 20]


async def test_a_send_that_would_wait_too_long_says_so_at_once(replicas):
    budget = replicas[0]
    await asyncio.gather(*(budget.acquire(wait_max=LONG) for _ in range(40)))

    # Three seconds of sends, of which none may wait: most of them would have to.
    more = [budget.acquire(wait_max=timedelta(milliseconds=1)) for _ in range(60)]
    found = await asyncio.gather(*more, return_exceptions=True)

    refused = [each for each in found if isinstance(each, WouldWaitError)]
    assert len(refused) >= 20
    assert all(each.retry_after and each.retry_after > timedelta(0) for each in refused)


async def test_a_429_silences_every_replica(replicas):
    first, second = replicas
    await second.acquire(wait_max=LONG)
    began = time.monotonic()
    await first.silence(timedelta(seconds=1.2))

    await asyncio.gather(*(each.acquire(wait_max=LONG) for each in replicas))

    assert time.monotonic() - began > 1.1
    await first.silence(timedelta(seconds=30))
    for each in replicas:
        with pytest.raises(WouldWaitError):
            await each.acquire(wait_max=timedelta(seconds=2))


async def test_a_chat_may_burst_and_then_keeps_its_rate():
    clock = FakeClock()
    chats = ChatBudget(clock, per_second=1, burst=3)

    waits = [chats.reserve(7, wait_max=LONG) for _ in range(5)]

    assert waits == pytest.approx([0, 0, 0, 1, 2])
    assert chats.reserve(8, wait_max=LONG) == 0
    with pytest.raises(WouldWaitError):
        chats.reserve(7, wait_max=timedelta(seconds=2))
    clock.advance(timedelta(seconds=60))
    assert chats.reserve(7, wait_max=LONG) == 0
