import asyncpg
import nats
import pytest
from nats.js.api import StorageType

from devstack.testing import create_database, drop_database, fresh_database, run_blocking


@pytest.mark.parametrize("_round", [1, 2])
async def test_each_test_gets_an_empty_database(database_dsn, _round):
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("CREATE TABLE left_behind (id int)")

    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()

    assert tables == 1


async def execute(dsn, *statements):
    connection = await asyncpg.connect(dsn)
    for each in statements:
        await connection.execute(each)
    await connection.close()


async def identity(dsn):
    """What stays the same of a database when it is renamed."""
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchrow(
        "SELECT oid, (SELECT count(*) FROM pg_class WHERE oid >= 16384) AS tables "
        "FROM pg_database WHERE datname = current_database()"
    )
    await connection.close()
    return found


async def oids(server):
    connection = await asyncpg.connect(server.dsn())
    found = await connection.fetchval("SELECT array_agg(oid) FROM pg_database")
    await connection.close()
    return found


async def test_a_database_that_could_be_emptied_is_used_again(postgres_server):
    # Two at a time leave two to choose from, as earlier tests of this process may have.
    async with fresh_database(postgres_server), fresh_database(postgres_server) as dsn:
        before = await identity(dsn)
        await execute(
            dsn,
            "CREATE SCHEMA a",
            "CREATE TABLE a.rows (id bigserial PRIMARY KEY, state text)",
            "CREATE FUNCTION a.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE TEMPORARY TABLE passing (id int)",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO PUBLIC",
        )
        left_open = await asyncpg.connect(dsn)

    left = await oids(postgres_server)
    async with fresh_database(postgres_server) as again:
        after = await identity(again)

    assert before["oid"] in left
    assert after["oid"] in left
    assert after["tables"] == before["tables"] == 0
    assert again != dsn
    left_open.terminate()


@pytest.mark.parametrize(
    "left",
    [
        "CREATE TABLE public.rows (id int)",
        "CREATE FUNCTION public.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION pg_trgm",
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
        "DROP SCHEMA public",
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        "ALTER DATABASE {} SET timezone = 'Asia/Tokyo'",
        "ALTER DATABASE {} CONNECTION LIMIT 7",
        "REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
        "SELECT lo_create(0)",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    ],
)
async def test_a_database_that_is_not_as_it_was_made_is_never_used_again(postgres_server, left):
    dsn = await create_database(postgres_server)
    name = dsn.rsplit("/", 1)[1]
    before = await identity(dsn)
    await execute(dsn, left.format(name))

    await drop_database(postgres_server, dsn)

    assert before["oid"] not in await oids(postgres_server)


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
