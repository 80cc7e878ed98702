import asyncio
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from chassis import bootstrap
from chassis.broker import (
    Broker,
    BrokerUnavailableError,
    MessageTooLargeError,
    OutgoingMessage,
    PublishRefusedError,
    StreamFullError,
    WrongSequenceError,
)
from contracts.envelope import MESSAGE_BYTES_MAX
from devstack.testing import private_nats

BILLING = "billing.cmd.place_order.v1"
EVENT = "billing.evt.order_accepted.v1"


async def stream(broker: Broker, name: str, **config: object) -> None:
    await broker.api(
        f"STREAM.CREATE.{name}",
        {"name": name, "subjects": [f"{name.lower()}.>"], "storage": "file", **config},
    )


async def count(broker: Broker, name: str) -> int:
    return int((await broker.api(f"STREAM.INFO.{name}"))["state"]["messages"])


def message(subject: str = BILLING, body: bytes = b"x", id: str = "") -> OutgoingMessage:  # noqa: A002
    return OutgoingMessage(subject, body, {"Nats-Msg-Id": id or uuid4().hex})


async def test_a_published_message_is_stored_once_per_id(broker: Broker) -> None:
    await stream(broker, "ONE")

    first = await broker.publish("one.a", b"x", {"Nats-Msg-Id": "1"})
    again = await broker.publish("one.a", b"x", {"Nats-Msg-Id": "1"})

    assert (first.seq, first.duplicate) == (1, False)
    assert (again.seq, again.duplicate) == (1, True)
    assert await count(broker, "ONE") == 1


async def test_a_stale_writer_is_refused(broker: Broker) -> None:
    await stream(broker, "ONE")
    await broker.publish("one.a", b"x")

    with pytest.raises(WrongSequenceError):
        await broker.publish("one.a", b"y", expect_last_subject_sequence=0)


async def test_a_full_stream_says_so(broker: Broker) -> None:
    await stream(broker, "ONE", max_msgs=1, discard="new")
    await broker.publish("one.a", b"x")

    with pytest.raises(StreamFullError):
        await broker.publish("one.a", b"y")


async def test_a_subject_without_a_stream_is_unavailable(broker: Broker) -> None:
    with pytest.raises(BrokerUnavailableError):
        await broker.publish("nobody.listens", b"x", timeout=timedelta(seconds=0.3))


async def test_a_message_the_stream_can_never_take_is_refused(broker: Broker) -> None:
    await stream(broker, "ONE", max_msg_size=100)

    with pytest.raises(PublishRefusedError, match="10054"):
        await broker.publish("one.a", b"x" * 200)


async def test_a_body_over_the_limit_is_not_sent(broker: Broker) -> None:
    await stream(broker, "ONE")
    body = b"x" * (MESSAGE_BYTES_MAX + 1)

    with pytest.raises(MessageTooLargeError, match="1000001 bytes"):
        await broker.publish("one.a", body)
    with pytest.raises(MessageTooLargeError):
        await broker.publish_ephemeral("one.a", body)

    await broker.publish("one.a", body[:-1])
    assert await count(broker, "ONE") == 1


async def test_line_breaks_cannot_smuggle_commands(broker: Broker) -> None:
    for subject, headers in [
        ("one.a\r\nPUB two 0\r\n", {}),
        ("one.a", {"A": "b\r\n\r\nPUB"}),
        ("one.a", {"A:b": "c"}),
    ]:
        with pytest.raises(ValueError, match="not a"):
            await broker.publish(subject, b"", headers)


async def test_messages_go_to_their_streams_in_order(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS")
    messages = [message(BILLING, b"%d" % n) for n in range(1, 300)] + [message(EVENT), message()]

    assert await broker.publish_all(messages) == [True] * 301

    assert await count(broker, "BILLING") == 300
    assert await count(broker, "EVENTS") == 1
    pull = broker.consume("BILLING", "billing", batch=400)
    bodies: list[bytes] = []
    while len(bodies) < 299:
        bodies += [each.body for each in await pull.next()]
    assert bodies[:299] == [b"%d" % n for n in range(1, 300)]
    await pull.stop()


async def test_many_messages_are_sent_in_few_batches(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS")
    before = broker.nc.stats["in_msgs"]

    assert all(await broker.publish_all([message() for _ in range(2_500)]))

    # An answer to the first and the last of three batches, instead of 2,500.
    assert broker.nc.stats["in_msgs"] - before == 6
    assert await count(broker, "BILLING") == 2_500


async def test_a_batch_with_a_known_id_is_stored_without_it(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS")
    known = message(body=b"known")
    await broker.publish_all([known])

    assert await broker.publish_all([message(), known, message()]) == [True, True, True]

    assert await count(broker, "BILLING") == 3


async def test_two_publishers_of_the_same_rows_store_each_once(
    broker: Broker, make_streams
) -> None:
    await make_streams("BILLING", "EVENTS")
    rows = [message() for _ in range(400)]

    results = await asyncio.gather(broker.publish_all(rows), broker.publish_all(rows[::-1]))

    # A batch may lose the race in a way that is no duplicate; the sweeper sends it again.
    for stored in results:
        if not all(stored):
            assert all(await broker.publish_all(rows))
    assert await count(broker, "BILLING") == 400


async def test_a_full_stream_stops_only_its_own(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS", max_bytes={"BILLING": 1_000})

    stored = await broker.publish_all(
        [message(BILLING, b"x" * 900), message(BILLING, b"x" * 900), message(EVENT)]
    )

    assert stored == [False, False, True]
    assert await count(broker, "BILLING") == 0


async def test_one_bad_message_does_not_hold_back_its_batch(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS")
    config = (await broker.api("STREAM.INFO.BILLING"))["config"]
    await broker.api("STREAM.UPDATE.BILLING", config | {"max_msg_size": 500})

    stored = await broker.publish_all([message(), message(body=b"x" * 600), message()])

    assert stored == [True, False, True]


async def test_a_subject_outside_the_topology_is_a_mistake(broker: Broker, make_streams) -> None:
    await make_streams("BILLING", "EVENTS")

    with pytest.raises(ValueError, match="no stream stores nowhere"):
        await broker.publish_all([message(), message("nowhere.at.all")])
    with pytest.raises(MessageTooLargeError):
        await broker.publish_all([message(), message(body=b"x" * (MESSAGE_BYTES_MAX + 1))])

    assert await count(broker, "BILLING") == 0


async def test_a_silent_server_means_not_stored(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        await bootstrap.apply(broker, only=["BILLING"])
        rows = [message() for _ in range(3)]
        server.pause()
        try:
            publisher = broker._publisher
            stored = await publisher.publish_all(rows, timeout=timedelta(seconds=0.3))
            assert stored == [False] * 3
        finally:
            server.resume()

        # It was stored after all: the sweeper's repetition finds every id known.
        assert await broker.publish_all(rows) == [True] * 3
        assert await count(broker, "BILLING") == 3


def test_pub_ack_decodes_what_the_server_sends() -> None:
    from chassis.publishing import PubAck

    wire = b'{"stream":"S","seq":7,"batch":"b","count":3,"duplicate":true}'
    assert msgspec.json.decode(wire, type=PubAck) == PubAck("S", 7, duplicate=True)
