import asyncpg
import nats
import pytest
from nats.js.api import StorageType

from devstack.testing import run_blocking


@pytest.mark.parametrize("_round", [1, 2])
async def test_each_test_gets_an_empty_database(database_dsn, _round):
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("CREATE TABLE left_behind (id int)")

    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()

    assert tables == 1


@pytest.mark.parametrize("_round", [1, 2])
async def test_each_test_gets_an_empty_jetstream(nats_url, _round):
    client = await nats.connect(nats_url)
    jetstream = client.jetstream()
    found = await jetstream.streams_info()
    await jetstream.add_stream(name="LEFT_BEHIND", subjects=["left.>"], storage=StorageType.FILE)
    await jetstream.create_key_value(bucket="left_behind")
    await jetstream.create_object_store("left_behind")
    await client.close()

    assert found == []


def test_fixtures_serve_synchronous_tests_too(database_dsn, nats_url):
    async def ask_both() -> tuple[int, bool]:
        connection = await asyncpg.connect(database_dsn)
        client = await nats.connect(nats_url)
        answer = await connection.fetchval("SELECT 42"), client.is_connected
        await connection.close()
        await client.close()
        return answer

    assert run_blocking(ask_both()) == (42, True)
