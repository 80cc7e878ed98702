import asyncio
from datetime import timedelta

from chassis.broker import Broker
from chassis.pull import next_subject
from chassis.testing import drain
from chassis.wire import Frame
from devstack.testing import private_nats

SECOND = 1_000_000_000
PATIENCE = 30


async def queue(broker: Broker, *, ack_wait: float = 5, **config: object) -> None:
    await broker.api(
        "STREAM.CREATE.S",
        {"name": "S", "subjects": ["s.>"], "storage": "file", "retention": "workqueue"},
    )
    durable = {
        "durable_name": "c",
        "name": "c",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait * SECOND),
        **config,
    }
    await broker.api("CONSUMER.CREATE.S.c", {"stream_name": "S", "config": durable})


async def left(broker: Broker) -> int:
    return int((await broker.api("STREAM.INFO.S"))["state"]["messages"])


async def asks(broker: Broker, count: int) -> bool:
    """Whether so many pull requests wait on the server."""
    return (await broker.consumer_info("S", "c")).num_waiting == count


async def test_next_returns_what_is_there(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c", batch=10)
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")
    began = asyncio.get_running_loop().time()
    await broker.publish("s.a", b"x", {"Nats-Msg-Id": "7", "A": "b"})

    (delivery,) = await waiting

    # One message does not wait for nine others until the pull expires, 30 s later.
    assert asyncio.get_running_loop().time() - began < 15
    assert (delivery.subject, delivery.body, delivery.headers["A"]) == ("s.a", b"x", "b")
    assert (delivery.stream, delivery.consumer) == ("S", "c")
    assert (delivery.stream_sequence, delivery.deliveries, delivery.pending) == (1, 1, 0)
    await delivery.ack_sync()
    assert await left(broker) == 0
    await pull.stop()


async def test_a_stream_of_messages_is_taken_in_order_without_gaps(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c", batch=16)
    for n in range(200):
        await broker.publish("s.a", b"%d" % n)
    seen: list[bytes] = []

    async for batch in pull:
        assert 1 <= len(batch) <= 16
        seen += [each.body for each in batch]
        await broker.ack_all(batch)
        if len(seen) == 200:
            break

    assert seen == [b"%d" % n for n in range(200)]
    await drain(lambda: left_is(broker, 0))
    await pull.stop()


async def left_is(broker: Broker, wanted: int) -> bool:
    return await left(broker) == wanted


async def test_the_limit_of_one_next_is_kept(broker: Broker) -> None:
    await queue(broker)
    for _ in range(10):
        await broker.publish("s.a", b"")
    pull = broker.consume("S", "c", batch=10)
    assert len(await pull.next(1)) == 1
    await drain(lambda: len(pull._buffer) == 9)

    assert [len(await pull.next(4)) for _ in range(3)] == [4, 4, 1]
    await pull.stop()


async def test_at_most_one_batch_is_held_and_asked_for(broker: Broker) -> None:
    await queue(broker)
    for _ in range(100):
        await broker.publish("s.a", b"")
    pull = broker.consume("S", "c", batch=10)
    await pull.next(1)
    await drain(lambda: len(pull._buffer) == 9)

    state = await broker.consumer_info("S", "c")
    assert state.num_ack_pending == 10
    await pull.stop()


async def test_stopping_hands_back_what_was_not_taken(broker: Broker) -> None:
    await queue(broker, ack_wait=30)
    for n in range(10):
        await broker.publish("s.a", b"%d" % n)
    first = broker.consume("S", "c", batch=10)
    (taken,) = await first.next(1)
    await drain(lambda: len(first._buffer) == 9)
    await first.stop()
    assert await first.next() == []

    second = broker.consume("S", "c", batch=10)
    bodies: list[bytes] = []
    async with asyncio.timeout(20):
        while len(bodies) < 9:
            bodies += [each.body for each in await second.next()]
    assert taken.body not in bodies
    assert len(set(bodies)) == 9
    await second.stop()


async def test_stop_ends_a_waiting_next(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c")
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")

    await pull.stop()

    assert await asyncio.wait_for(waiting, PATIENCE) == []


async def test_a_cancelled_next_loses_nothing(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c")
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")
    waiting.cancel()
    await asyncio.wait([waiting])
    await broker.publish("s.a", b"x")

    assert [each.body for each in await asyncio.wait_for(pull.next(), PATIENCE)] == [b"x"]
    await pull.stop()


async def test_handed_back_messages_come_again(broker: Broker) -> None:
    await queue(broker, ack_wait=30)
    await broker.publish("s.a", b"x")
    pull = broker.consume("S", "c")
    (first,) = await pull.next()
    began = asyncio.get_running_loop().time()
    await first.nak(timedelta(seconds=0.3))

    (second,) = await pull.next()

    assert asyncio.get_running_loop().time() - began >= 0.29
    assert second.deliveries == 2
    await second.nak()
    (third,) = await pull.next()
    assert third.deliveries == 3
    await third.term("nobody knows it")
    await drain(lambda: left_is(broker, 0))
    await pull.stop()


async def test_work_in_progress_is_not_delivered_again(broker: Broker) -> None:
    await queue(broker, ack_wait=2)
    await broker.publish("s.a", b"x")
    pull = broker.consume("S", "c")
    (delivery,) = await pull.next()
    again = asyncio.get_running_loop().create_task(pull.next())

    for _ in range(5):
        # It proves an absence: a redelivery has five times a third of ack_wait to come.
        await asyncio.sleep(0.65)
        await delivery.in_progress()
    assert not again.done()

    (second,) = await asyncio.wait_for(again, PATIENCE)
    assert second.deliveries == 2
    await pull.stop()


async def test_a_stored_ack_subject_settles_after_a_reconnect(
    broker: Broker, connect, nats_url: str
) -> None:
    await queue(broker, ack_wait=30)
    await broker.publish("s.a", b"x")
    pull = broker.consume("S", "c")
    (delivery,) = await pull.next()
    await pull.stop()

    other = await connect(nats_url)
    settlement = other.settle(delivery.ack_subject)
    await settlement.in_progress()
    await settlement.ack_sync()

    assert await left(broker) == 0


async def test_a_message_held_too_long_is_left_to_its_redelivery(broker: Broker) -> None:
    await queue(broker, ack_wait=2)
    for n in range(2):
        await broker.publish("s.a", b"%d" % n)
    pull = broker.consume("S", "c", stale_after=timedelta(seconds=1.9))
    (first,) = await pull.next(1)
    await drain(lambda: len(pull._buffer) == 1)
    await first.ack()
    loop = asyncio.get_running_loop()
    (held,) = pull._buffer
    await drain(lambda: loop.time() > held.received_at + 2, what="the message to be stale")

    (second,) = await asyncio.wait_for(pull.next(), PATIENCE)

    assert (second.body, second.deliveries) == (b"1", 2)
    await pull.stop()


async def test_a_request_that_expired_is_renewed(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c", idle_heartbeat=timedelta(seconds=0.2))
    pull._expires = timedelta(seconds=0.5)
    asked: list[Frame] = []
    overhearing = await broker.nc.listen(next_subject("S", "c"), asked.append)
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: len(asked) == 2, what="the pull and, once it expired, the renewed one")
    await broker.nc.unlisten(overhearing)
    await broker.publish("s.a", b"x")

    assert len(await asyncio.wait_for(waiting, PATIENCE)) == 1
    await pull.stop()


async def test_a_deleted_consumer_is_found_again(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c")
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")
    await broker.api("CONSUMER.DELETE.S.c")
    await broker.api("STREAM.DELETE.S")
    await drain(lambda: pull._retry_at > 0, what="the refusal")
    assert not waiting.done()
    await queue(broker)
    await broker.publish("s.a", b"x")

    assert len(await asyncio.wait_for(waiting, PATIENCE)) == 1
    await pull.stop()


async def test_a_forgotten_request_is_noticed_by_missing_heartbeats(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c", idle_heartbeat=timedelta(seconds=0.2))
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")
    # A consumer that moved to another leader without a word: the request is gone.
    config = (await broker.api("CONSUMER.INFO.S.c"))["config"]
    client = broker.nc
    sink = client._sinks[pull._sid]
    client._sinks[pull._sid] = lambda _frame: None
    await broker.api("CONSUMER.DELETE.S.c")
    await broker.api("CONSUMER.CREATE.S.c", {"stream_name": "S", "config": config})
    await broker.nc.barrier()
    client._sinks[pull._sid] = sink
    await broker.publish("s.a", b"x")

    assert len(await asyncio.wait_for(waiting, PATIENCE)) == 1
    await pull.stop()


async def test_a_killed_server_loses_no_message(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        await queue(broker, ack_wait=1)
        pull = broker.consume("S", "c", batch=20, stale_after=timedelta(seconds=0.9))
        seen: set[bytes] = set()

        async def work() -> None:
            async for batch in pull:
                seen.update(each.body for each in batch)
                await broker.ack_all(batch)

        worker = asyncio.get_running_loop().create_task(work())
        published: set[bytes] = set()
        for n in range(300):
            if n in (100, 200):
                await server.kill()
                await server.start()
            body = b"%d" % n
            async with asyncio.timeout(40):
                await broker.publish(
                    "s.a", body, {"Nats-Msg-Id": str(n)}, timeout=timedelta(seconds=30)
                )
            published.add(body)

        await drain(lambda: seen == published)
        await drain(lambda: left_is(broker, 0))
        await pull.stop()
        await asyncio.wait_for(worker, PATIENCE)


async def test_a_pull_waits_for_a_server_that_is_away(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        await queue(broker)
        await server.kill()
        await drain(lambda: not broker.connected)
        pull = broker.consume("S", "c")
        waiting = asyncio.get_running_loop().create_task(pull.next())
        await drain(lambda: pull._waiter is not None, what="next to wait")

        await server.start()
        await broker.publish("s.a", b"x")

        assert len(await asyncio.wait_for(waiting, PATIENCE)) == 1
        await pull.stop()


async def test_lower_priority_numbers_are_served_first(broker: Broker) -> None:
    await queue(broker, priority_groups=["jobs"], priority_policy="prioritized")
    late = broker.consume("S", "c", batch=1, group="jobs", priority=5)
    soon = broker.consume("S", "c", batch=1, group="jobs", priority=0)
    loop = asyncio.get_running_loop()
    low = loop.create_task(late.next())
    await drain(lambda: asks(broker, 1), what="the pull with the higher number")
    high = loop.create_task(soon.next())
    await drain(lambda: asks(broker, 2), what="the pull with the lower number")

    await broker.publish("s.a", b"x")

    assert len(await asyncio.wait_for(high, PATIENCE)) == 1
    assert not low.done()
    await late.stop()
    await soon.stop()
    assert await low == []


async def test_an_idle_pull_costs_next_to_nothing(broker: Broker) -> None:
    await queue(broker)
    pull = broker.consume("S", "c", idle_heartbeat=timedelta(seconds=0.3))
    waiting = asyncio.get_running_loop().create_task(pull.next())
    await drain(lambda: asks(broker, 1), what="its pull on the server")
    sent = broker.nc.stats["out_msgs"]
    wakes = pull._heard_at

    # What must not happen has so long to happen: two heartbeats.
    await asyncio.sleep(0.7)

    assert broker.nc.stats["out_msgs"] == sent
    assert pull._heard_at > wakes
    await pull.stop()
    await waiting
