"""Three servers, replicated streams, and the leader killed: nothing is lost, everything goes on."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TypeVar

from chassis import bootstrap
from chassis.broker import Broker, BrokerUnavailableError, StreamFullError
from chassis.key_value import KeyValue
from chassis.objects import Objects
from chassis.puller import TieredPuller
from chassis.testing import drain
from devstack.nats_server import nats_binary
from devstack.processes import ChildProcess
from devstack.testing import free_port, scratch_folder

T = TypeVar("T")
CONFIGURATION = """\
server_name: n{number}
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", max_file: 100GB }}
cluster {{ name: c, listen: "127.0.0.1:{route}", routes: [{routes}] }}
"""


@asynccontextmanager
async def cluster() -> AsyncIterator[tuple[str, dict[str, ChildProcess]]]:
    """Three servers; the address of all of them, and each by name."""
    with scratch_folder() as folder:
        ports = [(free_port(), free_port()) for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{route}"' for _, route in ports)
        servers: dict[str, ChildProcess] = {}
        for number, (port, route) in enumerate(ports):
            path = folder / f"n{number}.conf"
            store = folder / f"n{number}"
            path.write_text(
                CONFIGURATION.format(
                    number=number, port=port, route=route, routes=routes, store=store
                )
            )
            command = [str(nats_binary()), "-c", str(path)]
            servers[f"n{number}"] = ChildProcess(f"n{number}", command, output=folder / "log")
        for server in servers.values():
            server.start()
        try:
            yield ",".join(f"nats://127.0.0.1:{port}" for port, _ in ports), servers
        finally:
            for server in servers.values():
                await server.kill9()


async def leader(broker: Broker, stream: str) -> str:
    return str((await broker.api(f"STREAM.INFO.{stream}"))["cluster"]["leader"])


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until a leader answers: the killed server may have led this stream as well."""
    async with asyncio.timeout(30):
        while True:
            with suppress(BrokerUnavailableError, StreamFullError):
                return await ask()


async def test_a_killed_leader_loses_nothing(connect) -> None:
    async with cluster() as (url, servers):
        broker = await connect(url)
        await bootstrap.apply(broker, replicas=3, only=["BILLING", "JOBS", "KV_jobs", "OBJ_media"])
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

        await servers[await leader(broker, "BILLING")].kill9()
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
