import asyncio
from datetime import timedelta

import pytest

from chassis.broker import Broker, BrokerUnavailableError
from chassis.key_value import Change, Entry, KeyExistsError, KeyValue, WrongRevisionError
from chassis.keys import decode_key, encode_key
from chassis.testing import drain
from contracts import topology
from devstack.testing import private_nats


async def bucket(broker: Broker, name: str = "jobs", **more: object) -> KeyValue:
    stream = topology.bucket(name, allow_msg_ttl=True)
    await broker.api(f"STREAM.CREATE.KV_{name}", topology.stream_config(stream) | more)
    return KeyValue(broker, name)


async def watched(broker: Broker) -> bool:
    return (await broker.api("STREAM.INFO.KV_jobs"))["state"]["consumer_count"] == 1


async def take(watch, count: int) -> list[Change]:
    async with asyncio.timeout(30):
        return [await anext(watch) for _ in range(count)]


async def test_a_created_key_is_read_and_not_created_again(broker: Broker) -> None:
    kv = await bucket(broker)
    assert await kv.get("a") is None

    revision = await kv.create("a", b"1")

    assert await kv.get("a") == Entry(b"1", revision)
    with pytest.raises(KeyExistsError):
        await kv.create("a", b"2")


async def test_an_update_needs_the_exact_revision(broker: Broker) -> None:
    kv = await bucket(broker)
    first = await kv.create("a", b"1")
    second = await kv.update("a", b"2", first)

    with pytest.raises(WrongRevisionError):
        await kv.update("a", b"3", first)

    assert await kv.get("a") == Entry(b"2", second)


async def test_of_many_writers_one_wins(broker: Broker) -> None:
    kv = await bucket(broker)
    revision = await kv.create("a", b"0")

    results = await asyncio.gather(
        *(kv.update("a", b"%d" % n, revision) for n in range(20)), return_exceptions=True
    )
    created = await asyncio.gather(
        *(kv.create("b", b"%d" % n) for n in range(20)), return_exceptions=True
    )

    assert sum(isinstance(each, int) for each in results) == 1
    assert sum(isinstance(each, int) for each in created) == 1


async def test_a_deleted_key_is_created_again(broker: Broker) -> None:
    kv = await bucket(broker)
    revision = await kv.create("a", b"1")
    with pytest.raises(WrongRevisionError):
        await kv.delete("a", revision + 5)

    await kv.delete("a", revision)

    assert await kv.get("a") is None
    assert await kv.keys() == []
    again = await kv.create("a", b"2")
    assert await kv.get("a") == Entry(b"2", again)


async def test_a_key_with_a_ttl_expires_and_an_update_renews_it(broker: Broker) -> None:
    kv = await bucket(broker)
    revision = await kv.create("a", b"1", ttl=timedelta(seconds=2))
    revision = await kv.update("a", b"2", revision, ttl=timedelta(seconds=60))
    # Longer than its first life: the key must still be there.
    await asyncio.sleep(2.2)
    await kv.update("a", b"2", revision, ttl=timedelta(seconds=1))

    async def gone() -> bool:
        return await kv.get("a") is None

    await drain(gone)
    assert await kv.create("a", b"3")


async def test_an_update_after_an_update_without_ttl_stays(broker: Broker) -> None:
    kv = await bucket(broker)
    revision = await kv.create("a", b"1", ttl=timedelta(seconds=2))
    await kv.update("a", b"2", revision)
    # It proves that nothing expires: longer than the first value's life.
    await asyncio.sleep(2.2)

    assert await kv.get("a") is not None


async def test_a_lost_answer_is_no_ambiguity(broker: Broker) -> None:
    kv = await bucket(broker)
    revision = await kv.create("a", b"1")
    real = broker.nc._on_reply
    lost = 0

    def lose_the_first(frame) -> None:
        nonlocal lost
        if b'"seq"' in frame.body and not lost:
            lost += 1
            broker.nc.disconnected()  # what the client is told when a connection breaks
        else:
            real(frame)

    (replies,) = [sid for sid, sink in broker.nc._sinks.items() if sink == real]
    broker.nc._sinks[replies] = lose_the_first

    second = await kv.update("a", b"2", revision)

    assert lost == 1
    assert await kv.get("a") == Entry(b"2", second)


async def test_an_absent_server_is_told(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        kv = await bucket(broker)
        await server.kill()
        await drain(lambda: not broker.connected)
        with pytest.raises(BrokerUnavailableError):
            async with asyncio.timeout(20):
                await broker.api("INFO", timeout=timedelta(seconds=0.2))
        await server.start()
        assert await kv.create("a", b"1")


async def test_keys_lists_what_has_a_value(broker: Broker) -> None:
    kv = await bucket(broker)
    wanted = {f"order/{n}" for n in range(300)}
    for key in wanted:
        await kv.put(key, b"")
    await kv.put("gone", b"")
    await kv.delete("gone")

    assert set(await kv.keys()) == wanted


@pytest.mark.parametrize(
    "key",
    ["a", "a.b", "jobs/0198-x_y=z", "gpu 1:8188", "Привет", ".a", "a..b", "a.", "=41", "*", ">"],
)
async def test_any_key_is_stored_under_itself(broker: Broker, key: str) -> None:
    kv = await bucket(broker)
    await kv.put(key, b"x")

    assert await kv.get(key) is not None
    assert await kv.keys() == [key]
    assert decode_key(encode_key(key)) == key


async def test_a_watch_tells_what_is_and_then_what_changes(broker: Broker) -> None:
    kv = await bucket(broker)
    first = await kv.put("a", b"1")
    await kv.put("other", b"1")
    watch = kv.watch("a")

    assert await take(watch, 1) == [Change("a", Entry(b"1", first))]
    second = await kv.put("a", b"2")
    assert await take(watch, 1) == [Change("a", Entry(b"2", second))]
    await kv.delete("a")
    assert await take(watch, 1) == [Change("a", None)]
    await watch.stop()
    assert [change async for change in watch] == []


async def test_a_watch_of_exact_keys_hears_nothing_else(broker: Broker) -> None:
    kv = await bucket(broker)
    async with kv.watch(keys=["a", "b"]) as watch:
        waiting = asyncio.get_running_loop().create_task(anext(watch))
        await drain(lambda: watched(broker), what="the watch on the server")
        await kv.put("c", b"")
        await kv.put("ab", b"")
        await kv.put("b", b"x")
        assert (await asyncio.wait_for(waiting, 30)).key == "b"


async def test_a_watch_of_a_token_prefix(broker: Broker) -> None:
    kv = await bucket(broker)
    for key in ("a.1", "a.2", "b.1"):
        await kv.put(key, b"")
    watch = kv.watch("a.")

    assert [change.key for change in await take(watch, 2)] == ["a.1", "a.2"]
    await watch.stop()


async def test_a_slow_reader_sees_the_latest_value(broker: Broker) -> None:
    kv = await bucket(broker)
    await kv.put("a", b"first")
    watch = kv.watch()
    await take(watch, 1)
    for n in range(100):
        last = await kv.put("a", b"%d" % n)
    await kv.put("b", b"")
    await drain(lambda: len(watch._changes) == 2)

    assert await take(watch, 2) == [
        Change("a", Entry(b"99", last)),
        Change("b", Entry(b"", last + 1)),
    ]
    await watch.stop()


async def test_a_watch_survives_a_killed_server(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        kv = await bucket(broker)
        await kv.put("a", b"1")
        watch = kv.watch()
        await take(watch, 1)
        waiting = asyncio.get_running_loop().create_task(anext(watch))
        await drain(lambda: watched(broker), what="the watch on the server")

        await server.kill()
        await server.start()
        await kv.put("a", b"2")

        change = await asyncio.wait_for(waiting, 30)
        assert change.entry is not None
        assert change.entry.value == b"2"
        await kv.put("a", b"3")
        assert (await take(watch, 1))[0].entry == Entry(b"3", 3)
        await watch.stop()


async def test_a_watch_whose_consumer_vanished_misses_nothing(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.key_watch.SILENCE_MAX_SECONDS", 0.5)
    kv = await bucket(broker)
    await kv.put("a", b"1")
    watch = kv.watch()
    await take(watch, 1)
    await broker.api(f"CONSUMER.DELETE.KV_jobs.{watch._consumer}")
    await kv.put("a", b"2")

    change = (await take(watch, 1))[0]

    assert change.entry is not None
    assert change.entry.value == b"2"
    await watch.stop()


async def test_a_watch_that_missed_a_change_reads_it_again(broker: Broker) -> None:
    kv = await bucket(broker)
    await kv.put("a", b"1")
    watch = kv.watch()
    await take(watch, 1)
    sink = broker.nc._sinks[watch._sid]
    dropped: list[object] = []
    broker.nc._sinks[watch._sid] = dropped.append
    await kv.put("b", b"lost on the way")
    await drain(lambda: dropped)
    broker.nc._sinks[watch._sid] = sink
    await kv.put("c", b"")

    assert [change.key for change in await take(watch, 2)] == ["b", "c"]
    await watch.stop()


async def test_stopping_a_watch_leaves_no_consumer(broker: Broker) -> None:
    kv = await bucket(broker)
    await kv.put("a", b"1")
    async with kv.watch() as watch:
        await take(watch, 1)
        assert (await broker.api("STREAM.INFO.KV_jobs"))["state"]["consumer_count"] == 1

    assert (await broker.api("STREAM.INFO.KV_jobs"))["state"]["consumer_count"] == 0


async def test_a_watch_waits_for_its_bucket(broker: Broker) -> None:
    watch = KeyValue(broker, "jobs").watch()
    waiting = asyncio.get_running_loop().create_task(anext(watch))
    # Longer than its first attempt, which nothing tells from outside.
    await asyncio.sleep(0.2)
    assert not waiting.done()
    kv = await bucket(broker)
    await kv.put("a", b"1")

    assert (await asyncio.wait_for(waiting, 30)).key == "a"
    await watch.stop()
