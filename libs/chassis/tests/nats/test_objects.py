import asyncio
import gc
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.broker import Broker, StreamFullError
from chassis.objects import (
    CHUNK_BYTES,
    ObjectDamagedError,
    ObjectInfo,
    ObjectMissingError,
    Objects,
)
from contracts import topology
from devstack.testing import private_nats

MIB = 1 << 20


async def store(broker: Broker, **more: object) -> Objects:
    (stream,) = [each for each in topology.streams() if each.name == "OBJ_media"]
    await broker.api("STREAM.CREATE.OBJ_media", topology.stream_config(stream) | more)
    return Objects(broker)


async def state(broker: Broker) -> dict[str, int]:
    return (await broker.api("STREAM.INFO.OBJ_media"))["state"]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * MIB + 3])
async def test_what_was_put_is_what_is_got(broker: Broker, size: int) -> None:
    objects = await store(broker)
    data = os.urandom(size)

    info = await objects.put("photos/ä b.jpg", data, sha256=digest(data))

    assert info == ObjectInfo("photos/ä b.jpg", size, digest(data))
    assert await objects.get("photos/ä b.jpg") == data
    assert await objects.info("photos/ä b.jpg") == info


async def test_a_missing_object_is_said_to_be_missing(broker: Broker) -> None:
    objects = await store(broker)
    with pytest.raises(ObjectMissingError):
        await objects.get("none")
    assert await objects.delete("none") is False


async def test_bytes_that_are_not_the_promised_ones_are_not_stored(broker: Broker) -> None:
    objects = await store(broker)

    with pytest.raises(ObjectDamagedError):
        await objects.put("a", b"x" * MIB, sha256=digest(b"y"))

    assert (await state(broker))["messages"] == 0


async def test_a_damaged_chunk_is_noticed(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.stored_messages.RETRY_SECONDS", 0.01)
    objects = await store(broker)
    await objects.put("a", os.urandom(3 * CHUNK_BYTES))
    await broker.api("STREAM.MSG.DELETE.OBJ_media", {"seq": 2})

    with pytest.raises(ObjectDamagedError, match="2 of 3 chunks"):
        await objects.get("a")
    with pytest.raises(ObjectDamagedError):
        await objects.download("a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


async def test_other_bytes_of_the_same_number_are_noticed(broker: Broker) -> None:
    objects = await store(broker)
    await objects.put("a", os.urandom(2 * CHUNK_BYTES))
    found = await broker.api("STREAM.MSG.GET.OBJ_media", {"seq": 2})
    await broker.api("STREAM.MSG.DELETE.OBJ_media", {"seq": 2})
    await broker.publish(found["message"]["subject"], os.urandom(CHUNK_BYTES))

    with pytest.raises(ObjectDamagedError, match="2 of 2 chunks"):
        await objects.get("a")


async def test_deleting_frees_the_bytes(broker: Broker) -> None:
    objects = await store(broker)
    await objects.put("a", b"x" * MIB)
    await objects.put("b", b"y" * MIB)

    assert await objects.delete("a") is True

    assert [each.key for each in await objects.list()] == ["b"]
    assert (await state(broker))["bytes"] < 1.1 * MIB
    assert await objects.delete("a") is False


async def test_replacing_frees_the_bytes_before(broker: Broker) -> None:
    objects = await store(broker)
    await objects.put("a", b"x" * MIB)

    await objects.put("a", b"y" * 10)

    assert await objects.get("a") == b"y" * 10
    assert await state(broker) | {"messages": 2} == await state(broker)


async def test_racing_puts_of_one_key_leave_one_object(broker: Broker) -> None:
    objects = await store(broker)
    contents = [os.urandom(CHUNK_BYTES + n) for n in range(4)]

    await asyncio.gather(*(objects.put("a", each) for each in contents))

    assert await objects.get("a") in contents
    assert (await state(broker))["messages"] == 3  # two chunks and a description


async def test_a_full_store_says_so_and_keeps_nothing(broker: Broker) -> None:
    objects = await store(broker, max_bytes=MIB)

    with pytest.raises(StreamFullError):
        await objects.put("a", b"x" * 2 * MIB)

    assert (await state(broker))["messages"] == 0


async def test_a_source_that_breaks_off_leaves_nothing(broker: Broker) -> None:
    objects = await store(broker)

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 100_000
        raise OSError("the download broke off")

    with pytest.raises(OSError, match="broke off"):
        await objects.put("a", broken())

    assert (await state(broker))["messages"] == 0


async def test_everything_stored_is_listed(broker: Broker) -> None:
    objects = await store(broker)
    wanted = {f"media/{n}": n for n in range(100)}
    for key, size in wanted.items():
        await objects.put(key, b"x" * size)

    assert {each.key: each.size for each in await objects.list()} == wanted


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_large_file_is_streamed_both_ways(broker: Broker, tmp_path: Path) -> None:
    objects = await store(broker)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(MIB) * 60)
    gc.collect()
    before = resident_bytes()
    peak = 0

    async def watch_memory() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident_bytes() - before)
            await asyncio.sleep(0.01)  # how often it measures

    watching = asyncio.get_running_loop().create_task(watch_memory())
    info = await objects.put("large", source)
    copied = await objects.download("large", tmp_path / "copy")
    watching.cancel()

    assert copied == info
    assert info.size == 60 * MIB
    with (tmp_path / "copy").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == info.sha256
    assert peak < 25 * MIB


async def test_a_download_goes_on_after_the_server_was_killed(connect, tmp_path: Path) -> None:
    async with private_nats() as server:
        broker = await connect(server.url)
        objects = await store(broker)
        data = os.urandom(6 * MIB)
        await objects.put("a", data)
        read = bytearray()

        async for chunk in objects.read("a"):
            read += chunk
            if len(read) == CHUNK_BYTES:
                await server.kill()
                await server.start()

        assert read == data


async def test_the_operators_tool_reads_the_layout(broker: Broker, nats_url: str) -> None:
    import nats

    objects = await store(broker)
    data = os.urandom(MIB)
    await objects.put("photos/a.jpg", data)
    client = await nats.connect(nats_url)

    bucket = await client.jetstream().object_store("media")
    found = await bucket.get("photos/a.jpg")
    await bucket.put("theirs", data)
    await client.close()

    assert found.data == data
    assert await objects.get("theirs") == data
