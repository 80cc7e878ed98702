"""Real servers for tests: shared ones for the fixtures, private ones for whoever kills them."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import asyncpg
import nats
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from devstack.health import answers_ok
from devstack.nats_server import NatsServer
from devstack.ports import LOOPBACK, free_port
from devstack.postgres import Postgres
from devstack.processes import ChildProcess

__all__ = [
    "DatabaseServer",
    "MessageServer",
    "create_database",
    "drop_database",
    "ended",
    "free_port",
    "fresh_database",
    "private_nats",
    "private_postgres",
    "run_blocking",
    "running_nats",
    "running_postgres",
    "running_service",
    "scratch_folder",
    "wait_until",
    "wipe_jetstream",
]

FOLDER_PREFIX = "vitrine-test-"
OWNER_FILE = "owner.pid"
WAIT_TIMEOUT_SECONDS = 10.0
SERVICE_READY_SECONDS = 30.0
SERVICE_STOP_SECONDS = 20.0
# What a crash of the machine would lose does not matter to a test that ends before it.
UNSAFE_BUT_FAST: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

Result = TypeVar("Result")


class DatabaseServer(Protocol):
    """What tests may ask of a shared Postgres, be it a process or a container."""

    def dsn(
        self, user: str = "postgres", database: str = "postgres", password: str | None = None
    ) -> str: ...


class MessageServer(Protocol):
    """What tests may ask of a shared nats-server, be it a process or a container."""

    @property
    def url(self) -> str: ...


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
def running_postgres(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A Postgres for synchronous code, by default without fsync."""
    with scratch_folder() as folder:
        chosen = UNSAFE_BUT_FAST if settings is None else settings
        server = Postgres(folder / "postgres", free_port(), chosen)
        try:
            run_blocking(server.start())
            yield server
        finally:
            run_blocking(server.kill())
            server.erase()


@contextmanager
def running_nats() -> Iterator[NatsServer]:
    """A nats-server for synchronous code, with `sync_interval: always`."""
    with scratch_folder() as folder:
        server = NatsServer(folder / "nats", free_port())
        try:
            run_blocking(server.start())
            yield server
        finally:
            run_blocking(server.kill())


@asynccontextmanager
async def private_postgres(settings: Mapping[str, str] | None = None) -> AsyncIterator[Postgres]:
    """A Postgres of the test's own, durable by default, to be killed and restarted at will."""
    with scratch_folder() as folder:
        server = Postgres(folder / "postgres", free_port(), settings)
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


@asynccontextmanager
async def running_service(name: str, settings: Mapping[str, object]) -> AsyncIterator[ChildProcess]:
    """One service as a process of its own, ready; stopped in order afterwards.

    `settings` are the service's own, without its prefix. Raises StartError.
    """
    port = free_port()
    given = {"health_port": port, "log_level": "warning", "log_format": "json", **settings}
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
    """Create an empty database and return its DSN."""
    database = name or f"test_{uuid4().hex}"
    await _execute(server, f'CREATE DATABASE "{database}" TEMPLATE template0')
    return server.dsn(database=database)


async def drop_database(server: DatabaseServer, dsn: str) -> None:
    database = dsn.rsplit("/", 1)[1]
    # FORCE: a pool that a failed test left open must not fail the clean-up as well.
    await _execute(server, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


async def _execute(server: DatabaseServer, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
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


async def wipe_jetstream(url: str) -> None:
    """Delete every stream, and with them all consumers, key-value and object stores."""
    client: Client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            assert stream.config.name is not None
            with suppress(NotFoundError):
                await jetstream.delete_stream(stream.config.name)
    finally:
        await client.close()
