import asyncio
import random
import sys
import textwrap
import time
from datetime import timedelta

from chassis.broker import Broker, Delivery, Mitigations
from chassis.puller import TieredPuller
from chassis.testing import drain
from devstack.processes import ChildProcess
from devstack.testing import private_nats

TIERS = ("vip", "regular")
SECOND = 1_000_000_000
FOREVER = timedelta(seconds=20)
PATIENCE = FOREVER.total_seconds()
"""Shorter than it takes to hand out again what somebody holds, where that is 30 s."""


async def jobs(broker: Broker, *, ack_wait: float = 10, **more: object) -> None:
    await broker.api(
        "STREAM.CREATE.JOBS",
        {"name": "JOBS", "subjects": ["jobs.*"], "storage": "file", "retention": "workqueue"},
    )
    for tier in TIERS:
        config = {
            "durable_name": tier,
            "name": tier,
            "filter_subject": f"jobs.{tier}",
            "ack_policy": "explicit",
            "ack_wait": int(ack_wait * SECOND),
            "priority_groups": ["jobs"],
            "priority_policy": "prioritized",
            **more,
        }
        await broker.api(f"CONSUMER.CREATE.JOBS.{tier}", {"stream_name": "JOBS", "config": config})


def puller(broker: Broker, **options: object) -> TieredPuller:
    return TieredPuller(broker, "JOBS", TIERS, **options)


def start(work: TieredPuller, **options: object) -> asyncio.Task[Delivery | None]:
    return asyncio.get_running_loop().create_task(work.next(**options))


async def parked(broker: Broker, tier: str = "regular", count: int = 1) -> None:
    """Wait until so many pulls wait on the server (a dead one is not counted by interest)."""

    async def enough() -> bool:
        return (await broker.consumer_info("JOBS", tier)).num_waiting >= count

    await drain(enough)


async def test_every_vip_job_comes_before_any_regular_one(broker: Broker) -> None:
    await jobs(broker)
    shuffled = ["vip"] * 60 + ["regular"] * 140
    random.Random(7).shuffle(shuffled)
    for tier in shuffled:
        await broker.publish(f"jobs.{tier}", b"")
    work = puller(broker)
    order: list[str] = []

    for _ in shuffled:
        job = await work.next(timeout=FOREVER)
        assert job is not None
        order.append(job.subject)
        await job.ack_sync()

    assert order == ["jobs.vip"] * 60 + ["jobs.regular"] * 140
    assert work.handed_back == 0


async def _pending(broker: Broker, tier: str) -> bool:
    return (await broker.consumer_info("JOBS", tier)).num_pending == 1


async def test_the_order_of_tiers_is_the_callers(broker: Broker) -> None:
    await jobs(broker)
    await broker.publish("jobs.vip", b"")
    await broker.publish("jobs.regular", b"")
    for tier in TIERS:  # stored is not yet seen by the durable: strict up to that lag
        await drain(lambda tier=tier: _pending(broker, tier), what=f"{tier} seen by its durable")

    job = await puller(broker).next(["regular", "vip"], timeout=FOREVER)
    other = await puller(broker).next(["regular"], timeout=timedelta(seconds=0.1))

    assert job is not None
    assert job.subject == "jobs.regular"
    assert other is None


async def test_an_idle_puller_gets_a_job_at_once(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker)
    for tier in TIERS * 3:
        waiting = start(work)
        await parked(broker, tier)
        began = time.perf_counter()
        await broker.publish(f"jobs.{tier}", b"")
        job = await waiting
        assert job is not None
        assert time.perf_counter() - began < 10, "it waited for another tier's pull to expire"
        await job.ack_sync()


async def test_one_puller_claims_one_job(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker)
    waiting = start(work)
    await parked(broker)

    for tier in TIERS:
        await broker.publish(f"jobs.{tier}", b"")
    job = await waiting

    assert job is not None

    async def one_held() -> bool:
        states = [await broker.consumer_info("JOBS", tier) for tier in TIERS]
        return [state.num_ack_pending + state.num_pending for state in states] == [1, 1]

    await drain(one_held)
    other = await puller(broker).next(timeout=FOREVER)
    assert other is not None
    assert other.subject != job.subject


async def test_a_job_that_lost_the_race_is_handed_back_at_once(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker)
    waiting = start(work)
    await parked(broker)
    client = broker.nc
    # Both tiers deliver before the loser can be withdrawn.
    await client.send([b"PUB jobs.regular  0\r\n\r\n", b"PUB jobs.vip  0\r\n\r\n"])
    first = await waiting

    second = await puller(broker).next(timeout=FOREVER)

    assert first is not None
    assert second is not None
    assert {first.subject, second.subject} == {"jobs.vip", "jobs.regular"}


async def test_idle_goes_before_busy(broker: Broker, connect, nats_url: str) -> None:
    await jobs(broker)
    busy, idle = puller(await connect(nats_url)), puller(await connect(nats_url))
    for _ in range(12):
        low = start(busy, priority=5)
        await parked(broker, count=1)
        high = start(idle, priority=0)
        await parked(broker, count=2)
        await broker.publish("jobs.regular", b"")

        job = await asyncio.wait_for(high, PATIENCE)

        assert job is not None
        await job.ack_sync()
        assert not low.done()
        busy.release()
        assert await low is None


async def test_a_busy_puller_takes_what_no_idle_one_wants(broker: Broker) -> None:
    await jobs(broker)
    waiting = start(puller(broker), priority=5)
    await parked(broker)
    await broker.publish("jobs.regular", b"")

    assert await asyncio.wait_for(waiting, PATIENCE) is not None


async def test_a_timeout_returns_nothing_and_leaves_nothing(broker: Broker) -> None:
    await jobs(broker, ack_wait=30)
    began = time.perf_counter()
    assert await puller(broker).next(timeout=timedelta(seconds=0.2)) is None
    assert time.perf_counter() - began > 0.19

    await broker.publish("jobs.vip", b"")
    job = await puller(broker).next(timeout=FOREVER)
    assert job is not None
    assert job.deliveries == 1


async def test_a_cancelled_claim_holds_no_job_hostage(broker: Broker) -> None:
    await jobs(broker, ack_wait=30)
    for _ in range(10):
        waiting = start(puller(broker))
        await parked(broker)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

        await broker.publish("jobs.regular", b"")
        job = await puller(broker).next(timeout=FOREVER)
        assert job is not None
        await job.ack_sync()


async def test_jobs_arriving_while_claims_are_cancelled_are_all_run(broker: Broker) -> None:
    await jobs(broker, ack_wait=1)
    chance = random.Random(3)
    done: list[bytes] = []

    async def publish() -> None:
        for n in range(80):
            await broker.publish(f"jobs.{chance.choice(TIERS)}", b"%d" % n)
            # Waits for nothing: it spreads the arrivals over the claims and their cancels.
            await asyncio.sleep(chance.random() * 0.004)

    publishing = asyncio.get_running_loop().create_task(publish())
    cancelled = 0
    async with asyncio.timeout(90):
        while len(set(done)) < 80:
            claim = start(puller(broker))
            await asyncio.wait([claim], timeout=chance.random() * 0.01)
            if not claim.done():
                claim.cancel()
                cancelled += 1
            await asyncio.wait([claim])
            if not claim.cancelled() and (job := claim.result()) is not None:
                done.append(job.body)
                await job.ack()
    await publishing
    assert cancelled > 10
    # A job that met a cancel comes again at once, not after ack_wait; so hardly any is doubled.
    assert sorted(set(done), key=int) == [b"%d" % n for n in range(80)]


async def test_release_returns_a_job_that_came_with_it(broker: Broker) -> None:
    await jobs(broker, ack_wait=30)
    taken = 0
    for _ in range(15):
        work = puller(broker)
        waiting = start(work)
        await parked(broker)
        await broker.nc.send([b"PUB jobs.regular  0\r\n\r\n"])
        work.release()
        job = await waiting
        if job is None:
            # It had not come yet: the next puller finds it waiting.
            job = await puller(broker).next(timeout=FOREVER)
        else:
            taken += 1
        assert job is not None
        await job.ack_sync()


async def test_release_without_a_running_next_is_forgotten(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker)
    work.release()
    await broker.publish("jobs.vip", b"")

    assert await work.next(timeout=FOREVER) is not None


async def test_stop_ends_it_for_good(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker)
    waiting = start(work)
    await parked(broker)

    work.stop()

    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert await work.next() is None


async def test_many_withdrawn_pulls_do_not_fill_the_servers_queue(broker: Broker) -> None:
    await jobs(broker, max_waiting=8)
    work = puller(broker)
    for _ in range(50):
        assert await work.next(timeout=timedelta(milliseconds=10)) is None

    waiting = start(work)
    await parked(broker)
    await broker.publish("jobs.regular", b"")
    assert await asyncio.wait_for(waiting, PATIENCE) is not None


async def test_a_parked_pull_is_renewed_when_it_expires(broker: Broker) -> None:
    await jobs(broker)
    work = puller(broker, expires=timedelta(seconds=0.6), heartbeat=timedelta(seconds=0.2))
    waiting = start(work)
    await parked(broker)
    sent = broker.nc.stats["out_msgs"]
    await drain(lambda: broker.nc.stats["out_msgs"] > sent, what="the renewed pull")
    await broker.publish("jobs.regular", b"")

    assert await asyncio.wait_for(waiting, PATIENCE) is not None


async def test_a_parked_puller_survives_a_killed_server(connect) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        await jobs(broker)
        waiting = start(puller(broker))
        await parked(broker)
        await server.kill()
        await server.start()
        await broker.publish("jobs.regular", b"")

        # Sooner than missed heartbeats would tell (5 s).
        assert await asyncio.wait_for(waiting, PATIENCE) is not None


KILLED_CLIENT = """
import asyncio, sys
from chassis.broker import Broker
from chassis.puller import TieredPuller

async def main():
    broker = await Broker.connect(sys.argv[1], name="killed", on_fatal=print)
    await TieredPuller(broker, "JOBS", ("vip", "regular")).next()

asyncio.run(main())
"""


async def test_a_killed_clients_parked_pull_delays_nobody(broker: Broker, nats_url: str) -> None:
    await jobs(broker, ack_wait=30)
    child = ChildProcess("killed", [sys.executable, "-c", textwrap.dedent(KILLED_CLIENT), nats_url])
    child.start()
    try:
        await parked(broker)
    finally:
        await child.kill9()
    waiting = start(puller(broker))
    await parked(broker)
    await broker.publish("jobs.regular", b"")

    assert await asyncio.wait_for(waiting, PATIENCE) is not None


async def test_waiting_costs_next_to_nothing(broker: Broker) -> None:
    await jobs(broker)
    waiting = start(puller(broker, heartbeat=timedelta(seconds=0.3)))
    await parked(broker)
    sent, cpu = broker.nc.stats["out_msgs"], time.process_time()

    # What must not happen has so long to happen: three heartbeats.
    await asyncio.sleep(0.9)

    assert broker.nc.stats["out_msgs"] == sent
    # Turning round and round it would have used all of the time, on a busy machine a third.
    assert time.process_time() - cpu < 0.2
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_without_withdrawal_a_cancelled_claim_holds_the_job(
    broker: Broker, connect, nats_url: str
) -> None:
    await jobs(broker, ack_wait=3)
    waiting = start(puller(await connect(nats_url, Mitigations(orphans=False))))
    await parked(broker)
    waiting.cancel()
    await asyncio.wait([waiting])

    await broker.publish("jobs.regular", b"")

    assert await puller(broker).next(timeout=timedelta(seconds=0.5)) is None
    job = await puller(broker).next(timeout=FOREVER)
    assert job is not None
    assert job.deliveries > 1


async def test_the_shared_reply_inbox_swallows_a_job(connect, nats_url: str) -> None:
    broker = await connect(nats_url, Mitigations(mux=False))
    await jobs(broker, ack_wait=30)
    await broker.publish("jobs.regular", b"")

    async def there() -> bool:
        return (await broker.consumer_info("JOBS", "regular")).num_pending == 1

    await drain(there)

    assert await puller(broker).next(["regular"], timeout=timedelta(seconds=0.9)) is None
    assert (await broker.consumer_info("JOBS", "regular")).num_ack_pending == 1
