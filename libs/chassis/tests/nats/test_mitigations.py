"""Each repair of nats-py, and what happens without it."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.broker import Broker, BrokerUnavailableError, Mitigations
from chassis.key_value import KeyExistsError, KeyValue
from chassis.testing import drain
from chassis.wire import Frame, publish_frame
from devstack.nats_server import nats_binary
from devstack.processes import ChildProcess
from devstack.testing import free_port, private_nats, scratch_folder


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("nats").setLevel(logging.CRITICAL)


async def answers(broker: Broker, within: timedelta = timedelta(seconds=0.7)) -> bool:
    try:
        await broker.api("INFO", timeout=within)
    except BrokerUnavailableError:
        return False
    return True


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def cancelled_flush(connect, mitigations: Mitigations) -> bool:
    """Whether the connection still hears after a flush that timed out while the server stalled."""
    async with private_nats() as server:
        broker = await connect(server.url, mitigations)
        server.pause()
        await drain(lambda: stopped(server.pid))
        with pytest.raises(Exception, match="timeout"):
            await broker.nc.flush(timeout=0.2)
        server.resume()
        await drain(lambda: not stopped(server.pid), what="the server to go on")
        assert broker.connected
        # Only who is deaf is not waited for.
        return await answers(broker, timedelta(seconds=30 if mitigations.pong else 0.7))


async def test_a_cancelled_flush_does_not_deafen(connect) -> None:
    assert await cancelled_flush(connect, Mitigations())


async def test_without_repair_a_cancelled_flush_deafens(connect) -> None:
    assert not await cancelled_flush(connect, Mitigations(pong=False))


async def swallowed_cancel(broker: Broker) -> bool:
    """Whether a worker goes on although it was cancelled just when its answer had arrived."""
    client = broker.nc
    requests: list[Frame] = []
    await client.listen("slow.answers", requests.append)

    async def work() -> None:
        while True:
            await client.ask("slow.answers", timeout=5)

    worker = asyncio.get_running_loop().create_task(work())
    await drain(lambda: requests)
    (waited_for,) = [*client._replies.values(), *client._resp_map.values()]
    waited_for.add_done_callback(lambda _: worker.cancel())
    client.send_soon([publish_frame(requests[0].reply, b"answer")])
    await drain(lambda: worker.done() or len(requests) > 1, what="the end, or the next request")
    swallowed = not worker.done()
    worker.cancel()
    await asyncio.wait([worker])
    return swallowed


async def test_a_cancel_that_comes_with_an_answer_is_obeyed(connect, nats_url: str) -> None:
    broker = await connect(nats_url)
    assert not await swallowed_cancel(broker)


async def test_without_repair_a_cancel_that_comes_with_an_answer_is_swallowed(
    connect, nats_url: str
) -> None:
    broker = await connect(nats_url, Mitigations(cancel=False))
    assert await swallowed_cancel(broker)


CONFIGURATION = """\
listen: "127.0.0.1:{port}"
authorization {{
  users: [
    {{ user: "all", password: "all" }},
    {{ user: "few", password: "few", permissions: {{
        publish: {{ allow: ["allowed.>"] }}, subscribe: {{ allow: ["_INBOX.>"] }} }} }}
  ]
}}
"""


async def forbidden(connect, mitigations: Mitigations) -> list[str]:
    with scratch_folder() as folder:
        port = free_port()
        configuration = folder / "nats.conf"
        configuration.write_text(CONFIGURATION.format(port=port))
        server = ChildProcess(
            "nats", [str(nats_binary()), "-c", str(configuration)], output=folder / "log"
        )
        server.start()
        try:
            fatal: list[str] = []
            url = f"nats://few:few@127.0.0.1:{port}"
            broker = await connect(url, mitigations, fatal)
            await broker.publish_ephemeral("forbidden.subject", b"")
            await broker.nc.barrier()
            await broker.close()
            return fatal
        finally:
            await server.kill9()


async def test_a_missing_permission_is_fatal(connect) -> None:
    (reason,) = await forbidden(connect, Mitigations())
    assert "permissions violation for publish" in reason.lower()


async def test_without_repair_a_missing_permission_is_only_logged(connect) -> None:
    assert await forbidden(connect, Mitigations(permission=False)) == []


async def reconnects(connect, mitigations: Mitigations) -> tuple[bool, list[str]]:
    """Whether the connection outlives an absence of more attempts than nats-py makes."""
    async with private_nats() as server:
        fatal: list[str] = []
        broker = await connect(server.url, mitigations, fatal, reconnect_time_wait=0.01)
        if not mitigations.reconnect:
            assert broker.nc.options["max_reconnect_attempts"] == 60
        await server.kill()
        if mitigations.reconnect:
            # Away for longer than sixty attempts of 10 ms: the absence itself is the point.
            await asyncio.sleep(1)
        else:
            await drain(lambda: fatal, what="the last of sixty attempts")
        await server.start()
        await drain(lambda: fatal or answers(broker), what="an answer, or the end")
        return broker.connected, fatal


async def test_the_connection_waits_for_its_server_for_ever(connect) -> None:
    assert await reconnects(connect, Mitigations()) == (True, [])


async def test_without_repair_the_connection_gives_up(connect) -> None:
    alive, fatal = await reconnects(connect, Mitigations(reconnect=False))
    assert not alive
    assert "closed" in fatal[0]


async def expired_with_marker(broker: Broker) -> KeyValue:
    """A bucket whose server leaves a marker when a key expires, and one such key."""
    await broker.api(
        "STREAM.CREATE.KV_marked",
        {
            "name": "KV_marked",
            "subjects": ["$KV.marked.>"],
            "storage": "file",
            "max_msgs_per_subject": 1,
            "allow_msg_ttl": True,
            "allow_rollup_hdrs": True,
            "subject_delete_marker_ttl": 60_000_000_000,
        },
    )
    bucket = KeyValue(broker, "marked")
    await bucket.create("lock", b"owner", ttl=timedelta(seconds=1))

    async def marked() -> bool:
        answer = await broker.api("STREAM.MSG.GET.KV_marked", {"last_by_subj": "$KV.marked.lock"})
        return "data" not in answer["message"]

    await drain(marked)
    return bucket


async def test_an_expiry_marker_is_no_value(broker: Broker) -> None:
    bucket = await expired_with_marker(broker)

    assert await bucket.get("lock") is None
    assert await bucket.keys() == []
    assert await bucket.create("lock", b"next")


async def test_without_repair_an_expired_key_cannot_be_taken(connect, nats_url: str) -> None:
    bucket = await expired_with_marker(await connect(nats_url, Mitigations(markers=False)))

    assert await bucket.get("lock") is not None
    with pytest.raises(KeyExistsError):
        await bucket.create("lock", b"next")


async def flood_cut_off(broker: Broker) -> int:
    """How many of many messages arrived before the pong of a ping sent behind their request."""
    arrived = 0

    def count(_frame: object) -> None:
        nonlocal arrived
        arrived += 1

    client = broker.nc
    await client.listen("flood", count)
    await client.barrier()
    frame = publish_frame("flood", b"x" * 10_000)  # more than one read of the socket together
    client._pending.extend([frame] * 200)
    client._pending_data_size += 200 * len(frame)
    pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    await client._send_ping(pong)
    await pong
    return arrived


async def test_a_pong_proves_what_was_written_before_its_ping(broker: Broker) -> None:
    assert await flood_cut_off(broker) == 200


async def test_without_repair_a_ping_overtakes_what_was_written(connect, nats_url: str) -> None:
    broker = await connect(nats_url, Mitigations(order=False))
    assert await flood_cut_off(broker) < 200
