"""Real servers for tests: shared ones for the fixtures, private ones for whoever kills them."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import asyncpg
import structlog

from chassis import migrations
from chassis.identity import Identity
from contracts.accounts import SHARED
from devstack import nats_security
from devstack.health import answers_ok
from devstack.jetstream_wiping import MessageServer, wipe_jetstream
from devstack.nats_server import NatsServer
from devstack.ports import LOOPBACK, free_port
from devstack.postgres import Postgres
from devstack.processes import ChildProcess

__all__ = [
    "DatabaseServer",
    "MessageServer",
    "SecuredNats",
    "create_database",
    "drop_database",
    "empty_database",
    "empty_schema",
    "ended",
    "free_port",
    "fresh_database",
    "migrated_database",
    "private_nats",
    "private_postgres",
    "run_blocking",
    "running_nats",
    "running_postgres",
    "running_secured_nats",
    "running_service",
    "scratch_folder",
    "secured_nats",
    "wait_until",
    "wipe_jetstream",
]

FOLDER_PREFIX = "vitrine-test-"
OWNER_FILE = "owner.pid"
WAIT_TIMEOUT_SECONDS = 30.0  # what does come true never takes so long
SERVICE_READY_SECONDS = 90.0
SERVICE_STOP_SECONDS = 40.0
# Statistics of whatever rows another test had when autovacuum came by would decide query plans.
STEADY: Mapping[str, str] = {"autovacuum": "off"}
# What a crash of the machine would lose does not matter to a test that ends before it.
UNSAFE_BUT_FAST: Mapping[str, str] = {
    **STEADY,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

# Partitions are emptied with their tables, and what is migrated stays so.
_DELETES = """
SELECT string_agg(format('DELETE FROM %I.%I', $1::text, relname), '; ') FROM pg_class
WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
 AND relname <> 'schema_version'
"""

CLEAN_PREFIX = "clean_"
"""A database that a test left as empty as it found it; the next test gets it."""

# What says that more than schemas was left, or that the catalogues grew slow: then a new database
# is cheaper to trust. Objects that came with the cluster have lower numbers.
_LEFT = """
SELECT
    (SELECT datacl IS NOT NULL OR datconnlimit <> -1 OR datdba <> 10
     FROM pg_database WHERE datname = current_database())
    OR EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
               WHERE d.datname = current_database())
    OR (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public')
        IS DISTINCT FROM '{pg_database_owner=UC/pg_database_owner,=U/pg_database_owner}'
    OR (SELECT count(*) <> 3 FROM pg_namespace
        WHERE nspname !~ '^pg_(toast_)?temp_' AND nspname <> 'pg_toast')
    OR EXISTS (SELECT FROM pg_class WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_type WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_extension WHERE oid >= 16384)
    OR EXISTS (SELECT FROM pg_event_trigger)
    OR EXISTS (SELECT FROM pg_publication)
    OR EXISTS (SELECT FROM pg_largeobject_metadata)
    OR EXISTS (SELECT FROM pg_default_acl)
    OR pg_relation_size('pg_attribute') > 8 << 20
"""

Result = TypeVar("Result")

# Or each exception that is logged takes a second to be painted, with every local of every frame.
if not structlog.is_configured():
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


class DatabaseServer(Protocol):
    """What tests may ask of a shared Postgres, be it a process or a container."""

    def dsn(
        self, user: str = "postgres", database: str = "postgres", password: str | None = None
    ) -> str: ...


def run_blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine from a synchronous fixture without touching pytest-asyncio's loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(work)


async def wait_until(
    check: Callable[[], Awaitable[bool] | bool],
    what: str,
    timeout_seconds: float = WAIT_TIMEOUT_SECONDS,
) -> None:
    """Poll a condition until it holds; the error says which one did not."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while True:
        answer = check()
        if answer if isinstance(answer, bool) else await answer:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:g} s")
        await asyncio.sleep(0.01)


def ended(pid: int) -> bool:
    """Whether a process is gone; one that nobody has reaped yet is dead all the same."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that other users may pass through; removed at the end, or by the next test run."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    folder.chmod(0o711)
    (folder / OWNER_FILE).write_text(str(os.getpid()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    # A test run that was killed cannot clean up; forty megabytes each would fill the disk.
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError, ValueError):
            owner = int((folder / OWNER_FILE).read_text())
            if not Path(f"/proc/{owner}").exists():
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _blocking(opening: AbstractAsyncContextManager[Result]) -> Iterator[Result]:
    """Open something for synchronous code, in one loop that nobody else sees."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        opened = runner.run(opening.__aenter__())
        try:
            yield opened
        finally:
            runner.run(opening.__aexit__(None, None, None))


def running_postgres(
    settings: Mapping[str, str] = UNSAFE_BUT_FAST, password: str | None = None
) -> AbstractContextManager[Postgres]:
    """A Postgres for synchronous code, by default without fsync."""
    return _blocking(private_postgres(settings, password))


def running_nats() -> AbstractContextManager[NatsServer]:
    """A nats-server for synchronous code, with `sync_interval: always`."""
    return _blocking(private_nats())


def running_secured_nats(accounts: str = SHARED) -> AbstractContextManager["SecuredNats"]:
    """The same for synchronous code, with TLS and a user for each service."""
    return _blocking(secured_nats(accounts=accounts))


@asynccontextmanager
async def private_postgres(
    settings: Mapping[str, str] | None = None, password: str | None = None
) -> AsyncIterator[Postgres]:
    """A Postgres of the test's own, durable by default, to be killed and restarted at will."""
    with scratch_folder() as folder:
        server = Postgres(folder / "postgres", free_port(), settings, password=password)
        try:
            await server.start()
            yield server
        finally:
            await server.kill()
            server.erase()


@asynccontextmanager
async def private_nats() -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own, to be killed, paused and restarted at will."""
    with scratch_folder() as folder:
        server = NatsServer(folder / "nats", free_port())
        try:
            await server.start()
            yield server
        finally:
            await server.kill()


class SecuredNats(NamedTuple):
    """A nats-server that knows its users, and the folder of their keys."""

    server: NatsServer
    state_dir: Path

    def identity(self, user: str = nats_security.TESTS) -> Identity:
        return nats_security.identity(self.state_dir, user)


@asynccontextmanager
async def secured_nats(more: str = "", accounts: str = SHARED) -> AsyncIterator[SecuredNats]:
    """A nats-server as a platform has it: TLS, and a user for each service."""
    with scratch_folder() as folder:
        security = partial(nats_security.prepare, folder, accounts)
        server = NatsServer(folder / "nats", free_port(), security=security, more=more)
        try:
            await server.start()
            yield SecuredNats(server, folder)
        finally:
            await server.kill()


@asynccontextmanager
async def running_service(name: str, settings: Mapping[str, object]) -> AsyncIterator[ChildProcess]:
    """One service as a process of its own, ready; stopped in order afterwards.

    `settings` are the service's own, without its prefix. Messages are not signed, unless they say
    so: here nobody but the test is connected. Raises StartError.
    """
    port = settings.get("health_port") or free_port()
    given = {
        "health_port": port,
        "log_level": "warning",
        "log_format": "json",
        "signatures": "off",
        **settings,
    }
    prefixed = {f"{name}_{key}".upper(): str(value) for key, value in given.items()}
    process = ChildProcess(
        name, (sys.executable, "-m", name), environment={**os.environ, **prefixed}
    )

    process.start()
    try:
        ready_url = f"http://{LOOPBACK}:{port}/readyz"
        await process.wait_ready(lambda: answers_ok(ready_url), SERVICE_READY_SECONDS)
        yield process
    finally:
        await process.terminate(SERVICE_STOP_SECONDS)


async def create_database(server: DatabaseServer, name: str | None = None) -> str:
    """Return the DSN of an empty database, by that name or one of its own."""
    database = name or f"test_{uuid4().hex}"
    async with _connected(server.dsn()) as connection:
        clean = await connection.fetchval(
            "SELECT datname FROM pg_database WHERE starts_with(datname, $1) LIMIT 1", CLEAN_PREFIX
        )
        if clean is None:
            await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE template0')
        else:
            await connection.execute(f'ALTER DATABASE "{clean}" RENAME TO "{database}"')
    return server.dsn(database=database)


async def drop_database(server: DatabaseServer, dsn: str) -> None:
    """Take a database away: emptied for the next test, which is much cheaper than a new one."""
    database = dsn.rsplit("/", 1)[1]
    async with _connected(server.dsn()) as connection:
        # A pool that a failed test left open must not fail the clean-up as well.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
            database,
        )
        if await _emptied(server.dsn(database=database)):
            clean = f"{CLEAN_PREFIX}{uuid4().hex}"
            await connection.execute(f'ALTER DATABASE "{database}" RENAME TO "{clean}"')
        else:
            await connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


async def _emptied(dsn: str) -> bool:
    """Drop the schemas of a database; whether it is then as it was made."""
    try:
        async with _connected(dsn) as connection:
            schemas = await connection.fetchval(
                "SELECT string_agg(quote_ident(nspname), ', ') FROM pg_namespace "
                "WHERE oid >= 16384 AND nspname !~ '^pg_'"
            )
            if schemas is not None:
                await connection.execute(f"DROP SCHEMA {schemas} CASCADE")
            return not await connection.fetchval(_LEFT)
    except asyncpg.PostgresError:
        return False  # read-only, closed to logins, gone: whatever the test made of it


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    # Without notices of all that CASCADE takes along.
    quiet = {"client_min_messages": "error"}
    connection = await asyncpg.connect(dsn, server_settings=quiet)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def fresh_database(server: DatabaseServer) -> AsyncIterator[str]:
    """The DSN of an empty database that is dropped afterwards."""
    dsn = await create_database(server)
    try:
        yield dsn
    finally:
        await drop_database(server, dsn)


@contextmanager
def migrated_database(server: DatabaseServer, schema: str, folder: Path) -> Iterator[str]:
    """The DSN of one migrated database for all tests that empty it, or share it."""
    dsn = run_blocking(create_database(server))
    try:
        run_blocking(migrations.migrate(dsn, schema=schema, folder=folder))
        yield dsn
    finally:
        run_blocking(drop_database(server, dsn))


async def empty_database(dsn: str, schema: str, first_rows: str = "SELECT") -> None:
    """Nobody and no row is left in a migrated database, but those that migrating made."""
    async with _connected(dsn) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await empty_schema(connection, schema)
        await connection.execute(first_rows)


async def empty_schema(connection: asyncpg.Connection, schema: str) -> None:
    """Delete every row of a migrated schema: a thirtieth of what migrating another one costs.

    All in one message, which is one transaction: fifty round trips take longer than most tests.
    """
    deletes = await connection.fetchval(_DELETES, schema)
    # As a replica the session is stopped by no trigger, and rows may go in any order.
    await connection.execute(f"SET LOCAL session_replication_role = replica; {deletes}")
