import aiohttp
import nats
import pytest
from nats.js.errors import NotFoundError

from devstack.testing import private_nats, wipe_jetstream


async def test_acknowledged_messages_survive_a_kill_on_the_same_port():
    async with private_nats() as server:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        for number in range(20):
            await client.jetstream().publish("kept.one", str(number).encode())
        before = server.url

        await server.kill()
        await server.start()

        again = await nats.connect(server.url)
        info = await again.jetstream().stream_info("KEPT")
        await again.close()
        await client.close()
        assert server.url == before
        assert info.state.messages == 20


async def test_every_message_is_synced_before_it_is_acknowledged():
    async with private_nats() as server:
        async with aiohttp.request("GET", f"{server.monitoring_url}/varz") as answer:
            state = await answer.json()

    assert state["jetstream"]["config"]["sync_always"] is True
    assert state["server_name"] == "vitrine"
    assert state["host"] == "127.0.0.1"
    assert state["max_payload"] == 8 * 1024 * 1024


async def test_a_paused_server_answers_again_after_resume():
    async with private_nats() as server:
        client = await nats.connect(server.url)
        server.pause()
        with pytest.raises(TimeoutError):
            await client.jetstream(timeout=0.5).account_info()

        server.resume()

        assert (await client.jetstream().account_info()).streams == 0
        await client.close()


async def test_wipe_removes_streams_buckets_and_object_stores(nats_server):
    client = await nats.connect(nats_server.url)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="GONE", subjects=["gone.>"])
    await jetstream.create_key_value(bucket="gone")
    await jetstream.create_object_store("gone")

    await wipe_jetstream(nats_server)

    assert await jetstream.streams_info() == []
    with pytest.raises(NotFoundError):
        await jetstream.stream_info("GONE")
    await client.close()


async def test_nothing_of_a_wiped_stream_is_removed_later():
    """A big one, so that its removal takes a while: a second one would be removed as it stands."""
    async with private_nats() as server:
        client = await nats.connect(server.url)
        jetstream = client.jetstream()
        await jetstream.add_stream(name="BIG", subjects=["big.>"])
        (folder,) = server.store.glob("jetstream/*/streams/BIG")
        for number in range(500):
            (folder / str(number)).touch()

        for _ in range(3):
            await wipe_jetstream(server)
            assert list(server.store.glob("jetstream/*/streams/*")) == []
            await jetstream.add_stream(name="BIG", subjects=["big.>"])
        await client.close()
