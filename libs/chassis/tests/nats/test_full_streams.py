"""A full stream refuses what comes; it forgets nothing to make room for it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from chassis import bootstrap
from chassis.broker import Broker
from contracts import topology
from devstack.testing import MessageServer, wipe_jetstream

ROOM_BYTES = 10_000
BODY = b"x" * 1_000
TRIES = 20
ANSWER_SECONDS = 5.0


@pytest.fixture
async def emptied(broker: Broker, nats_server: MessageServer) -> AsyncIterator[Broker]:
    """Whoever comes next finds streams of the usual size, and with consumers."""
    await wipe_jetstream(nats_server)
    yield broker
    await wipe_jetstream(nats_server)


async def fill(broker: Broker, stream: topology.Stream) -> list[dict[str, Any]]:
    """Publish more than there is room for, each under a subject of its own where it may."""
    answers = []
    for number in range(TRIES):
        subject = stream.subjects[number % len(stream.subjects)]
        concrete = subject.replace("*", f"n{number}").replace(">", f"n{number}")
        answer = await broker.nc.request(concrete, BODY, timeout=ANSWER_SECONDS)
        answers.append(json.loads(answer.data))
    return answers


async def held(broker: Broker, name: str) -> tuple[int, int]:
    """Return how many messages a stream holds, and the number of the first."""
    state = (await broker.api(f"STREAM.INFO.{name}"))["state"]
    return state["messages"], state["first_seq"]


async def make(broker: Broker, stream: topology.Stream, **other: Any) -> None:
    """As bootstrap does, but small; nothing grows old while the test looks."""
    config = {**topology.stream_config(stream), "max_bytes": ROOM_BYTES, "max_age": 0, **other}
    await broker.api(f"STREAM.CREATE.{stream.name}", config)


async def test_every_stream_refuses_when_full_instead_of_forgetting(emptied: Broker) -> None:
    for stream in topology.streams():
        await make(emptied, stream)

        answers = await fill(emptied, stream)

        stored = [each["seq"] for each in answers if "error" not in each]
        refused = [each["error"] for each in answers if "error" in each]
        assert 0 < len(stored) < TRIES, stream.name
        assert {each["description"] for each in refused} == {"maximum bytes exceeded"}, stream.name
        assert stored == list(range(1, len(stored) + 1)), stream.name
        assert await held(emptied, stream.name) == (len(stored), 1), stream.name


async def test_one_that_discards_the_old_would_forget(emptied: Broker) -> None:
    """The control: the same in a stream declared otherwise."""
    stream = topology.streams()[0]
    await make(emptied, stream, discard="old")

    answers = await fill(emptied, stream)

    assert not any("error" in each for each in answers)
    messages, first = await held(emptied, stream.name)
    assert messages < TRIES
    assert first > 1


async def test_bootstrap_makes_streams_as_they_were_tried(emptied: Broker) -> None:
    await bootstrap.apply(emptied)

    for stream in topology.streams():
        config = (await emptied.api(f"STREAM.INFO.{stream.name}"))["config"]
        assert config["discard"] == "new", stream.name
        assert config["max_bytes"] == stream.max_bytes, stream.name
        assert timedelta(microseconds=config["max_age"] / 1_000) == stream.max_age, stream.name
