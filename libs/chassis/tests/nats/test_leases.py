import asyncio
from datetime import timedelta

from chassis.broker import Broker
from chassis.key_value import KeyValue, Lease
from chassis.testing import drain
from contracts import topology
from devstack.testing import private_nats

TTL = timedelta(seconds=0.6)
LONG = timedelta(seconds=60)
"""Where nothing is to expire, however busy the machine."""
RENEWED = timedelta(seconds=2)
"""Where it is to be renewed in time: a machine may be busy for most of it."""
RENEW = timedelta(seconds=0.15)


async def leases(broker: Broker, ttl: timedelta = TTL) -> KeyValue:
    stream = topology.bucket("leases", max_age=ttl)
    await broker.api("STREAM.CREATE.KV_leases", topology.stream_config(stream))
    return KeyValue(broker, "leases")


def lease(kv: KeyValue, owner: str = "a", ttl: timedelta = TTL, **options: object) -> Lease:
    return Lease(kv, "gpu", owner, ttl=ttl, renew_every=RENEW, **options)


async def test_a_lease_has_one_holder(broker: Broker) -> None:
    kv = await leases(broker, LONG)
    mine, other = lease(kv, "a", ttl=LONG), lease(kv, "b", ttl=LONG)

    assert await mine.acquire()
    assert not await other.acquire()

    assert mine.held
    assert not other.held
    assert await other.owner() == "a"
    await mine.release()


async def test_two_processes_of_one_name_do_not_share_it(broker: Broker) -> None:
    kv = await leases(broker, LONG)
    mine, twin = lease(kv, ttl=LONG), lease(kv, ttl=LONG)

    assert await mine.acquire()
    assert not await twin.acquire()
    await mine.release()


async def test_a_lease_is_kept_by_renewing_it(broker: Broker) -> None:
    kv = await leases(broker, RENEWED)
    mine, other = lease(kv, "a", ttl=RENEWED), lease(kv, "b", ttl=RENEWED)
    await mine.acquire()

    for _ in range(8):
        # It proves that it is not lost: twice its life, in steps.
        await asyncio.sleep(0.5)
        assert mine.held
        assert not await other.acquire()

    assert not mine.lost.is_set()
    await mine.release()


async def test_a_released_lease_is_free_at_once(broker: Broker) -> None:
    kv = await leases(broker, LONG)
    async with lease(kv, "a", ttl=LONG) as mine:
        assert mine.held

    assert not mine.held
    assert not mine.lost.is_set()
    async with asyncio.timeout(30):
        async with lease(kv, "b", ttl=LONG) as other:
            assert other.held


async def test_waiting_takes_it_when_its_holder_dies(
    broker: Broker, connect, nats_url: str
) -> None:
    kv = await leases(broker)
    dying = await connect(nats_url)
    began = asyncio.get_running_loop().time()
    await lease(KeyValue(dying, "leases"), "dead").acquire()
    await dying.close()
    other = lease(kv, "b")

    assert await asyncio.wait_for(other.acquire(wait=True), 30)

    assert asyncio.get_running_loop().time() - began > 0.3
    await other.release()


async def test_a_holder_knows_before_another_can_take_it(connect) -> None:
    async with private_nats() as server:
        mine_broker, other_broker = await connect(server.url), await connect(server.url)
        kv = await leases(other_broker)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            mine = lease(KeyValue(mine_broker, "leases"), "a")
            assert await mine.acquire(wait=True)
            lost_at = taken_at = 0.0
            # Cut off without a word: what is sent goes nowhere.
            real, mine_broker.nc.send_soon = mine_broker.nc.send_soon, lambda _frames: None
            other = lease(kv, "b")

            async def see_loss(held: Lease = mine) -> None:
                nonlocal lost_at
                await held.lost.wait()
                lost_at = loop.time()
                assert not held.held

            async def take(wanted: Lease = other, mine: Lease = mine) -> None:
                nonlocal taken_at
                while not await wanted.acquire():
                    pass
                assert not mine.held
                taken_at = loop.time()

            await asyncio.wait_for(asyncio.gather(see_loss(), take()), 30)
            mine_broker.nc.send_soon = real

            assert lost_at < taken_at
            await mine.release()
            await other.release()


async def test_a_stalled_server_ends_the_lease_here(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        mine = lease(await leases(broker))
        await mine.acquire()
        server.pause()
        try:
            await asyncio.wait_for(mine.lost.wait(), 30)
            assert not mine.held
        finally:
            server.resume()
        await mine.release()


async def test_a_short_restart_of_the_server_does_not_end_it(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        mine = lease(await leases(broker, LONG), ttl=LONG)
        await mine.acquire()
        await server.kill()
        await server.start()
        await drain(lambda: broker.connected)
        entry = await mine._key_value.get("gpu")
        if entry is None:
            return  # it expired meanwhile: nothing to keep

        revision = mine._revision
        await drain(lambda: mine._revision > revision, within=timedelta(seconds=4))
        assert mine.held
        await mine.release()


async def test_a_lease_taken_by_another_is_lost(broker: Broker) -> None:
    kv = await leases(broker, LONG)
    mine = lease(kv, "a", ttl=LONG)
    await mine.acquire()
    await kv.put("gpu", b"usurper#1")

    await asyncio.wait_for(mine.lost.wait(), 30)
    assert not mine.held
    await mine.release()
    entry = await kv.get("gpu")
    assert entry is not None
    assert entry.value == b"usurper#1"


async def test_a_lost_lease_can_be_taken_again(broker: Broker) -> None:
    kv = await leases(broker, LONG)
    mine = lease(kv, ttl=LONG)
    await mine.acquire()
    await kv.delete("gpu")
    await asyncio.wait_for(mine.lost.wait(), 30)

    assert await mine.acquire(wait=True)
    assert mine.held
    assert not mine.lost.is_set()
    await mine.release()


async def test_a_blocked_event_loop_does_not_think_it_holds(broker: Broker) -> None:
    import time

    mine = lease(await leases(broker))
    await mine.acquire()
    time.sleep(0.6)  # noqa: ASYNC251 - the point of the test

    assert not mine.held
    await mine.release()


async def test_a_lease_by_message_ttl(broker: Broker) -> None:
    stream = topology.bucket("leases", allow_msg_ttl=True)
    await broker.api("STREAM.CREATE.KV_leases", topology.stream_config(stream))
    kv = KeyValue(broker, "leases")
    mine = lease(kv, ttl=RENEWED, per_message_ttl=True)
    await mine.acquire()
    # It proves that it is not lost: longer than one message's life.
    await asyncio.sleep(2.5)
    assert mine.held

    mine._renewing.cancel()
    other = lease(kv, "b", ttl=RENEWED, per_message_ttl=True)
    assert await asyncio.wait_for(other.acquire(wait=True), 30)
    assert not mine.held
    await other.release()
