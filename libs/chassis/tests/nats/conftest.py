"""Connections, streams and consumers for the tests of everything that speaks NATS."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from chassis.broker import Broker, Mitigations
from contracts import topology

Connect = Callable[..., Awaitable[Broker]]


class MakeStreams(Protocol):
    async def __call__(self, *names: str, **config: object) -> None: ...


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open connections that are closed when the test ends."""
    opened: list[Broker] = []

    async def open_one(
        url: str,
        mitigations: Mitigations | None = None,
        fatal: list[str] | None = None,
        **options: Any,
    ) -> Broker:
        reasons = fatal if fatal is not None else []
        broker = await Broker.connect(
            url, name="test", on_fatal=reasons.append, mitigations=mitigations, options=options
        )
        opened.append(broker)
        return broker

    yield open_one
    for broker in opened:
        await broker.close()


@pytest.fixture
async def broker(nats_url: str, connect: Connect) -> Broker:
    return await connect(nats_url)


@pytest.fixture
def make_streams(broker: Broker) -> MakeStreams:
    """Create streams of the topology by name, with their consumers (all of them take longer)."""

    async def make(*names: str, **config: object) -> None:
        for stream in topology.streams():
            if stream.name in names:
                wanted = topology.stream_config(stream) | config
                await broker.api(f"STREAM.CREATE.{stream.name}", wanted)
        for consumer in topology.consumers():
            if consumer.stream in names:
                await broker.api(
                    f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}",
                    {"stream_name": consumer.stream, "config": topology.consumer_config(consumer)},
                )

    return make
