"""What an account for each service costs beside one: the server's CPU, and everybody's time.

Two servers run side by side with the users and rights of production, each with fsync before every
answer; rounds alternate between them, so that whatever else this machine does falls on both.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import NamedTuple
from uuid import uuid4

from bench.harness import Figure, cpu_seconds, machine, median, percentile
from chassis import bootstrap
from chassis.broker import Broker, OutgoingMessage
from contracts.accounts import MODES
from contracts.billing import PlaceOrder
from contracts.envelope import HEADER_ID
from devstack.testing import SecuredNats, secured_nats

ROUNDS = 6
ALONE = 300
BATCHES, BATCH = 20, 200
BODY = b"x" * 300
STREAM = "BILLING"


class Place(NamedTuple):
    """One server, who publishes there and who pulls."""

    nats: SecuredNats
    gateway: Broker
    billing: Broker


class Round(NamedTuple):
    alone_ms: list[float]
    published_per_second: float
    publish_cpu_us: float
    taken_per_second: float
    take_cpu_us: float


async def measure() -> Figure:
    figure = Figure(
        "separate accounts beside one", "PubAck as fast; at most twice the CPU of a hop"
    )
    figure.values |= machine()
    rounds: dict[str, list[Round]] = {mode: [] for mode in MODES}
    async with AsyncExitStack() as stack:
        places = {mode: await _place(stack, mode) for mode in MODES}
        for number in range(ROUNDS):
            for mode in MODES if number % 2 else reversed(MODES):
                rounds[mode].append(await _round(places[mode]))
    for mode in MODES:
        _tell(figure, mode, rounds[mode])
    return figure


def _tell(figure: Figure, mode: str, rounds: list[Round]) -> None:
    alone = [wait for each in rounds for wait in each.alone_ms]
    for share in (50, 95):
        wait = percentile(alone, share / 100)
        figure.add(f"{mode}: publish to PubAck, p{share}", wait, "ms", key=f"{mode}_p{share}_ms")
    for key, label, unit in (
        ("published_per_second", "published in batches", "/s"),
        ("publish_cpu_us", "the server's CPU for one of them", "us"),
        ("taken_per_second", "pulled and acknowledged", "/s"),
        ("take_cpu_us", "the server's CPU for one of them", "us"),
    ):
        value = median([getattr(each, key) for each in rounds])
        figure.add(f"{mode}: {label}", value, unit, key=f"{mode}_{key}")


async def _place(stack: AsyncExitStack, mode: str) -> Place:
    nats = await stack.enter_async_context(secured_nats(accounts=mode))
    users = {}
    for user in ("bootstrap", "gateway", "billing"):
        users[user] = await Broker.connect(
            nats.server.url, name=user, identity=nats.identity(user), on_fatal=_fail
        )
        stack.push_async_callback(users[user].close)
    await bootstrap.apply(users["bootstrap"], only=[STREAM])
    return Place(nats, users["gateway"], users["billing"])


def _fail(reason: str) -> None:
    raise RuntimeError(reason)


async def _round(place: Place) -> Round:
    server = [place.nats.server.pid]
    alone = []
    for message in _messages(ALONE):
        begun = time.perf_counter()
        await place.gateway.publish(*message, traced=False)
        alone.append((time.perf_counter() - begun) * 1_000)
    count = BATCHES * BATCH
    messages = _messages(count)
    cpu, begun = cpu_seconds(server), time.perf_counter()
    for start in range(0, count, BATCH):
        await place.gateway.publish_all(messages[start : start + BATCH])
    published = count / (time.perf_counter() - begun)
    publish_cpu = (cpu_seconds(server) - cpu) / count
    left = count + ALONE
    cpu, begun = cpu_seconds(server), time.perf_counter()
    pull = place.billing.consume(STREAM, "billing")
    while left:
        taken = await pull.next()
        await place.billing.ack_all(taken)
        left -= len(taken)
    await place.billing.nc.barrier()
    seconds = time.perf_counter() - begun
    take_cpu = (cpu_seconds(server) - cpu) / (count + ALONE)
    await pull.stop()
    return Round(alone, published, publish_cpu * 1e6, (count + ALONE) / seconds, take_cpu * 1e6)


def _messages(count: int) -> list[OutgoingMessage]:
    return [
        OutgoingMessage(PlaceOrder.subject, BODY, {HEADER_ID: uuid4().hex}) for _ in range(count)
    ]


if __name__ == "__main__":
    asyncio.run(measure()).show()
