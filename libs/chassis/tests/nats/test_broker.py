import asyncio
import logging
from datetime import timedelta

import pytest

from chassis.broker import ApiError, Broker, BrokerUnavailableError, Ephemeral
from chassis.deliveries import AckSubject
from chassis.testing import drain
from chassis.wire import Frame, publish_frame
from devstack.nats_server import NatsServer
from devstack.testing import free_port, private_nats, scratch_folder


async def test_connect_waits_for_a_server_that_starts_later(connect) -> None:
    with scratch_folder() as folder:
        server = NatsServer(folder / "nats", free_port())
        connecting = asyncio.get_running_loop().create_task(connect(server.url))
        # It proves that connecting goes on: longer than the first attempt and its pause.
        await asyncio.sleep(0.3)
        assert not connecting.done()

        await server.start()
        try:
            broker = await asyncio.wait_for(connecting, 30)
            assert broker.connected
            await broker.close()
        finally:
            await server.kill()


async def test_a_killed_server_comes_back_and_everything_works_again(connect) -> None:
    fatal: list[str] = []
    async with private_nats() as server:
        broker = await connect(server.url, fatal=fatal)
        heard: list[bytes] = []

        async def hear(message: Ephemeral) -> None:
            heard.append(message.body)

        await broker.subscribe("news", hear)
        await broker.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"], "storage": "file"})
        await broker.publish("s.a", b"before")
        reconnected = asyncio.Event()
        broker.on_reconnect(reconnected.set)

        await server.kill()
        await drain(lambda: not broker.connected)
        with pytest.raises(BrokerUnavailableError):
            await broker.publish("s.a", b"lost", timeout=timedelta(seconds=0.1))
        await server.start()
        await asyncio.wait_for(reconnected.wait(), 30)

        await broker.publish("s.a", b"after")
        await broker.publish_ephemeral("news", b"after")
        await drain(lambda: heard == [b"after"])
        assert fatal == []


async def test_waiting_for_a_server_can_be_cancelled(connect) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    connecting = asyncio.get_running_loop().create_task(connect(url))
    # In the middle of its attempts and pauses, which nothing tells from outside.
    await asyncio.sleep(0.2)
    assert not connecting.done()
    connecting.cancel()

    await asyncio.wait([connecting], timeout=30)
    assert connecting.cancelled()


async def test_a_server_stopped_in_order_is_no_fatal_error(connect) -> None:
    fatal: list[str] = []
    async with private_nats() as server:
        broker = await connect(server.url, fatal=fatal)
        await server.restart()
        await drain(lambda: broker.connected)
        await broker.api("INFO")
        assert fatal == []


async def test_a_connection_the_server_closes_for_good_is_fatal(connect) -> None:
    fatal: list[str] = []
    async with private_nats() as server:
        broker = await connect(server.url, fatal=fatal)
        broker.nc.send_soon([b"NONSENSE\r\n"])  # answered with -ERR and the end

        await drain(lambda: fatal)
        assert "closed" in fatal[0]


async def test_a_subscriber_can_stop_itself(broker: Broker) -> None:
    heard: list[bytes] = []
    stopped = asyncio.Event()

    async def hear(message: Ephemeral) -> None:
        heard.append(message.body)
        await subscription.stop()
        stopped.set()

    subscription = await broker.subscribe("once", hear)
    await broker.publish_ephemeral("once", b"1")
    await asyncio.wait_for(stopped.wait(), 30)
    await broker.publish_ephemeral("once", b"2")
    await broker.nc.barrier()
    assert heard == [b"1"]


async def test_core_messages_arrive_in_order_with_headers(broker: Broker) -> None:
    heard: list[Ephemeral] = []

    async def hear(message: Ephemeral) -> None:
        await asyncio.sleep(0)  # give way: the order must not come from never waiting
        heard.append(message)

    subscription = await broker.subscribe("progress.*", hear)
    for n in range(200):
        await broker.publish_ephemeral("progress.1", b"%d" % n, {"A": f"b {n}"})
    await subscription.stop()

    assert [each.body for each in heard] == [b"%d" % n for n in range(200)]
    assert heard[7].headers == {"A": "b 7"}


async def test_a_queue_group_shares_the_messages(broker: Broker) -> None:
    heard: list[str] = []

    def listener(name: str):
        async def hear(_message: Ephemeral) -> None:
            heard.append(name)

        return hear

    for name in ("a", "b"):
        await broker.subscribe("work", listener(name), queue="q")
    for _ in range(100):
        await broker.publish_ephemeral("work", b"")

    await drain(lambda: len(heard) == 100)
    assert set(heard) == {"a", "b"}


async def test_a_failing_subscriber_hears_the_next_message(broker: Broker) -> None:
    heard: list[bytes] = []

    async def hear(message: Ephemeral) -> None:
        heard.append(message.body)
        raise RuntimeError(message.body)

    await broker.subscribe("s", hear)
    await broker.publish_ephemeral("s", b"1")
    await broker.publish_ephemeral("s", b"2")

    await drain(lambda: heard == [b"1", b"2"])


async def test_a_failing_inbox_does_not_end_the_connection(broker: Broker) -> None:
    def fail(_frame: Frame) -> None:
        raise RuntimeError

    await broker.nc.listen("bad", fail)
    await broker.publish_ephemeral("bad", b"")

    await broker.api("INFO")


async def test_a_refused_api_request_says_why(broker: Broker) -> None:
    with pytest.raises(ApiError) as refused:
        await broker.api("STREAM.INFO.NONE")

    assert refused.value.code == 404
    assert "stream not found" in refused.value.description


async def test_the_state_of_a_consumer_is_told(broker: Broker) -> None:
    await broker.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"], "storage": "file"})
    config = {"durable_name": "c", "name": "c", "ack_policy": "explicit"}
    await broker.api("CONSUMER.CREATE.S.c", {"stream_name": "S", "config": config})
    for _ in range(3):
        await broker.publish("s.a", b"")

    pull = broker.consume("S", "c", batch=2)
    taken = await pull.next()
    state = await broker.consumer_info("S", "c")
    assert state.num_pending + state.num_ack_pending == 3
    assert state.num_ack_pending >= len(taken) >= 1
    await pull.stop()


async def test_closing_writes_what_was_queued(nats_url: str, broker: Broker, connect) -> None:
    heard: list[bytes] = []

    async def hear(message: Ephemeral) -> None:
        heard.append(message.body)

    await broker.subscribe("last.words", hear)
    await broker.nc.barrier()
    other = await connect(nats_url)
    other.nc.send_soon([publish_frame("last.words", b"%d" % n) for n in range(500)])
    await other.close()

    await drain(lambda: len(heard) == 500)


async def test_a_barrier_waits_for_what_was_written_before_it(broker: Broker) -> None:
    arrived: list[int] = []
    sid = await broker.nc.listen("flood", lambda frame: arrived.append(len(frame.body)))
    await broker.nc.send([publish_frame("flood", b"x" * 1000) for _ in range(500)])

    await broker.nc.unlisten(sid)

    # Everything came back before the unsubscription took effect; nothing was cut off.
    assert len(arrived) == 500


def test_both_forms_of_ack_subject_are_read() -> None:
    v1 = AckSubject.parse("$JS.ACK.BILLING.billing.3.17.42.1795298554102842066.5")
    v2 = AckSubject.parse("$JS.ACK._.hash.BILLING.billing.3.17.42.1795298554102842066.5.token")
    assert v1 == v2 == AckSubject("BILLING", "billing", 3, 17, 42, 5)


def test_status_frames_are_told_from_messages() -> None:
    status = Frame(
        "s", "", b"", b"NATS/1.0 409 Consumer Deleted\r\nNats-Pending-Messages: 7\r\n\r\n"
    )
    message = Frame("s", "", b"", b"NATS/1.0\r\nA: b:c\r\n\r\n")

    assert (status.status, status.description) == (409, "Consumer Deleted")
    assert status.headers == {"Nats-Pending-Messages": "7"}
    assert (message.status, message.headers) == (0, {"A": "b:c"})
    assert Frame("s", "", b"", None).headers == {}


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("nats").setLevel(logging.CRITICAL)
