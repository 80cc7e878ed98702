"""The send budget: one for all replicas, and silent for all after a 429."""

import asyncio
import itertools
import time
from collections import Counter
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


async def test_all_replicas_together_stay_within_the_rate(replicas):
    seconds: Counter[int] = Counter()

    async def send(budget: BotBudget) -> None:
        for _ in range(24):
            await budget.acquire(wait_max=LONG)
            seconds[int(time.time())] += 1

    await asyncio.gather(*(send(budget) for budget in replicas))

    assert sum(seconds.values()) == 48
    assert max(seconds.values()) <= 20


async def test_a_send_that_would_wait_too_long_says_so_at_once(replicas):
    budget = replicas[0]
    await asyncio.gather(*(budget.acquire(wait_max=LONG) for _ in range(40)))

    began = time.monotonic()
    more = [budget.acquire(wait_max=timedelta(milliseconds=1)) for _ in range(60)]
    with pytest.raises(WouldWaitError):
        await asyncio.gather(*more)

    assert time.monotonic() - began < 1.0


async def test_a_429_silences_every_replica(replicas):
    first, second = replicas
    await second.acquire(wait_max=LONG)
    await first.silence(timedelta(seconds=1.2))
    began = time.monotonic()

    await asyncio.gather(*(each.acquire(wait_max=LONG) for each in replicas))

    assert time.monotonic() - began > 0.9
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
