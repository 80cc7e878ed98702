"""Three servers, replicated streams, and the leader killed: nothing is lost, everything goes on."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from chassis import bootstrap, nats_accounts, rpc
from chassis.broker import Broker, BrokerUnavailableError, StreamFullError
from chassis.identity import Identity
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.puller import TieredPuller
from chassis.testing import drain
from chassis.wire import publish_frame
from contracts import billing
from contracts.accounts import SEPARATE, SHARED
from contracts.envelope import HEADER_ID
from devstack import nats_security
from devstack.nats_cluster import NatsCluster, nats_cluster
from devstack.testing import scratch_folder

T = TypeVar("T")


async def leader(broker: Broker, stream: str) -> str:
    return str((await broker.api(f"STREAM.INFO.{stream}"))["cluster"]["leader"])


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until a leader answers: the killed server may have led this stream as well."""
    async with asyncio.timeout(30):
        while True:
            with suppress(BrokerUnavailableError, StreamFullError):
                return await ask()


async def test_a_killed_leader_loses_nothing(connect) -> None:
    async with nats_cluster() as cluster:
        broker = await connect(cluster.url())
        few = ["BILLING", "JOBS", "KV_jobs", "OBJ_media"]
        await answered(lambda: bootstrap.apply(broker, replicas=3, only=few))
        seen: set[bytes] = set()
        pull = broker.consume("BILLING", "billing", idle_heartbeat=timedelta(seconds=1))

        async def consume() -> None:
            async for batch in pull:
                seen.update(each.body for each in batch)
                await broker.ack_all(batch)

        async def publish(number: int) -> None:
            headers, body = {"Nats-Msg-Id": str(number)}, b"%d" % number
            await answered(lambda: broker.publish("billing.cmd.x.v1", body, headers))

        consuming = asyncio.get_running_loop().create_task(consume())
        claiming = asyncio.get_running_loop().create_task(
            TieredPuller(broker, "JOBS", ["image-regular"], heartbeat=timedelta(seconds=1)).next()
        )
        key_value = KeyValue(broker, "jobs")
        revision = await key_value.create("order", b"1")
        data = os.urandom(1_000_000)
        await Objects(broker).put("photo", data)
        for number in range(100):
            await publish(number)

        await cluster.servers[await leader(broker, "BILLING")].kill9()
        for number in range(100, 200):
            await publish(number)
        await drain(lambda: seen == {b"%d" % n for n in range(200)}, within=timedelta(seconds=60))

        job_id = {"Nats-Msg-Id": "job"}
        await answered(lambda: broker.publish("jobs.image.regular", b"job", job_id))
        job = await asyncio.wait_for(claiming, 60)
        assert job is not None
        assert job.body == b"job"
        await answered(lambda: key_value.update("order", b"2", revision))
        assert await answered(lambda: Objects(broker).get("photo")) == data
        await pull.stop()
        await consuming


class Members:
    """Users of a cluster, each at a server of its own as long as that one is there."""

    def __init__(self, cluster: NatsCluster, state: Path) -> None:
        self._cluster, self._state = cluster, state
        self.opened: list[Broker] = []

    async def join(self, user: str, server: str) -> Broker:
        keys = self._state / nats_security.FOLDER / user
        broker = await Broker.connect(
            self._cluster.url(server),
            name=user,
            identity=Identity(user=user, seed_file=str(keys / "seed")),
            on_fatal=pytest.fail,
            options={"dont_randomize": True},
        )
        self.opened.append(broker)
        return broker


@asynccontextmanager
async def members(modes: list[str]) -> AsyncIterator[tuple[NatsCluster, Members]]:
    """Three servers that know every user; they read the last of `modes` at each reload."""
    with scratch_folder() as state:
        nats_security.prepare(state)
        known = json.loads((state / nats_security.FOLDER / nats_security.KNOWN_FILE).read_text())
        async with nats_cluster(lambda: nats_accounts.block(known, mode=modes[-1])) as cluster:
            them = Members(cluster, state)
            try:
                yield cluster, them
            finally:
                for broker in them.opened:
                    await broker.close(timedelta(seconds=0.3))


async def test_servers_are_switched_to_separate_accounts_one_by_one_and_nothing_is_lost(
    tell_balance, rich
) -> None:
    modes = [SHARED]
    async with members(modes) as (cluster, them):
        maker = await them.join("bootstrap", "n0")
        await answered(
            lambda: bootstrap.apply(maker, replicas=3, only=["BILLING", "KV_leases", "OBJ_media"])
        )
        gateway, shop = await them.join("gateway", "n1"), await them.join("billing", "n2")
        generator = await them.join("generator", "n0")
        seen: list[bytes] = []
        progress: list[str] = []
        await gateway.nc.listen("progress.>", lambda frame: progress.append(frame.subject))
        answering = await tell_balance(shop)
        pull = shop.consume("BILLING", "billing", idle_heartbeat=timedelta(seconds=1))

        async def consume() -> None:
            async for batch in pull:
                seen.extend(each.body for each in batch)
                await shop.ack_all(batch)

        async def publish(*numbers: int) -> None:
            for number in numbers:
                body, headers = b"%d" % number, {HEADER_ID: str(number)}
                await answered(
                    lambda b=body, h=headers: gateway.publish(billing.PlaceOrder.subject, b, h)
                )

        consuming = asyncio.get_running_loop().create_task(consume())
        await publish(*range(20))
        modes.append(SEPARATE)
        for step, server in enumerate(cluster.servers, 1):
            cluster.reload(server)
            await publish(*range(20 * step, 20 * step + 20))

        await drain(lambda: calmly(lambda: rich(gateway)), within=timedelta(seconds=60))
        # Whom another account asks is given a way back of the server's own making.
        ways: list[str] = []
        await shop.nc.listen("billing.rpc.price", lambda f: ways.append(f.reply), "billing")
        await shop.nc.barrier()

        async def asked() -> bool:
            # Until the other server has heard who listens: nothing tells when.
            reply, _ = gateway.nc.expect_reply()
            await gateway.nc.send([publish_frame("billing.rpc.price", b"", reply=reply)])
            return bool(ways)

        await drain(asked)
        assert ways[0].startswith("_R_.")
        leases = KeyValue(gateway, "leases")
        watch = leases.watch("gateway.replica.")
        await leases.put("gateway.replica.x", b"here")
        assert (await anext(aiter(watch))).key == "gateway.replica.x"
        await watch.stop()
        data = os.urandom(500_000)
        await Objects(generator).put("photo", data)
        assert await Objects(gateway).get("photo") == data

        async def heard() -> bool:
            await generator.publish_ephemeral("progress.1.x", b"")
            return bool(progress)

        await drain(heard)
        await cluster.servers[await leader(maker, "BILLING")].kill9()
        await publish(*range(80, 120))
        await drain(
            lambda: set(seen) == {b"%d" % n for n in range(120)}, within=timedelta(seconds=60)
        )
        await answering.stop()
        await pull.stop()
        await consuming


async def calmly(ask: Callable[[], Awaitable[bool]]) -> bool:
    """False while it fails: one has moved into its account already, the other not."""
    with suppress(rpc.RpcTimeoutError):
        return await ask()
    return False
