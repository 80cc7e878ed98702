"""One Postgres pool per process: its own schema, typed codecs, patient connecting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from chassis import logs, metrics
from chassis.errors import ConfigurationError, TransientError

log = logs.get("chassis.database")
if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any] | PoolConnectionProxy[Any]
else:
    Connection = asyncpg.Connection  # generic in its stubs only
CONNECT_TIMEOUT_SECONDS = 5.0
COMMAND_TIMEOUT_SECONDS = 30.0
IDLE_CONNECTION_SECONDS = 600.0
BACKOFF_MAX_SECONDS = 2.0

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What asyncpg raises while Postgres is away, starting, stopping, full or no longer primary, or
has not got this role or database yet: a missing role and a wrong password look alike. One that dies
between two steps of the protocol looks like a mistake of the client."""

NOT_A_URL = (
    "not a Postgres URL, or it names a file that is not there; "
    "in a password # is written %23, / %2F and ? %3F"
)
RETRYABLE = (*UNAVAILABLE, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
rights_missing_count = metrics.counter("vitrine.rights.missing")


class DatabaseUnavailableError(TransientError):
    """Postgres cannot be reached now."""


class RightMissingError(TransientError):
    """The role may not do this: no message's fault, and mended by whoever runs migrations."""


class _Door:
    """Opens connections with the login as it is at that moment."""

    def __init__(self, login: Callable[[], str]) -> None:
        self._login = login
        self._let_in = ""

    async def open(self, dsn: str | None = None, **options: Any) -> asyncpg.Connection[Any]:
        """Also while a new password is not yet the server's: with the last one that was."""
        try:
            dsn = self._login()
            try:
                connection = await _connection(dsn, options)
            except asyncpg.InvalidAuthorizationSpecificationError:
                if self._let_in in ("", dsn):
                    raise
                return await _connection(self._let_in, options)
        except ValueError as error:
            if isinstance(error, OSError):  # what TLS says of a certificate
                raise asyncpg.ClientConfigurationError(str(error)) from error
            raise asyncpg.ClientConfigurationError(NOT_A_URL) from None
        self._let_in = dsn
        return connection


class Database:
    """The process's connections. Everything runs inside one schema, set as the search path."""

    def __init__(self, pool: asyncpg.Pool[Any], schema: str) -> None:
        self.pool = pool
        self.schema = schema

    @classmethod
    async def connect(
        cls,
        dsn: str | Callable[[], str],
        *,
        schema: str,
        pool_max: int = 8,
        application_name: str = "vitrine",
        stopping: asyncio.Event | None = None,
    ) -> Database:
        """Wait for Postgres, this role and this database, with capped backoff.

        `dsn`: what returns it is asked for each new connection, so passwords may change.
        `stopping` ends the wait: DatabaseUnavailableError. Raises ConfigurationError when the DSN
        is none.
        """
        stopping = stopping or asyncio.Event()
        door = _Door(dsn if callable(dsn) else lambda: dsn)
        wait = 0.1
        while True:
            try:
                pool = await asyncpg.create_pool(
                    connect=door.open,
                    min_size=1,
                    max_size=pool_max,
                    init=_codecs,
                    reset=_keep,
                    timeout=CONNECT_TIMEOUT_SECONDS,
                    command_timeout=COMMAND_TIMEOUT_SECONDS,
                    max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
                    server_settings={
                        "application_name": application_name,
                        "search_path": schema,
                        "jit": "off",
                        "idle_in_transaction_session_timeout": "30s",
                    },
                )
                return cls(pool, schema)
            except ValueError as error:
                # asyncpg quotes it, and with `#` or `/` in it a password is taken for a port.
                # What TLS says of a certificate is a ValueError too, and quotes nothing.
                tls = error.__cause__ if isinstance(error.__cause__, OSError) else None
                raise ConfigurationError(str(tls or NOT_A_URL)) from None
            except UNAVAILABLE as error:
                log.warning("waiting_for_postgres", reason=type(error).__name__)
            try:
                async with asyncio.timeout(wait):
                    await stopping.wait()
            except TimeoutError:
                wait = min(wait * 2, BACKOFF_MAX_SECONDS)
            else:
                raise DatabaseUnavailableError("stopped before Postgres was there")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Lend a connection outside any transaction.

        Raises DatabaseUnavailableError, and RightMissingError for what the role may not do.
        """
        try:
            async with self.pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as connection:
                yield connection
        except UNAVAILABLE as error:
            raise DatabaseUnavailableError(type(error).__name__) from error
        except asyncpg.InsufficientPrivilegeError as error:
            log.error("right_missing", reason=str(error))  # noqa: TRY400 - names a table, no value
            rights_missing_count.add(1)
            raise RightMissingError(str(error)) from error
        except asyncpg.PostgresError as error:
            # Errors are logged, and these quote values and whole rows.
            error.detail = None
            if isinstance(error, asyncpg.DataError):
                error.args = ("a value was not accepted",)
            raise

    async def ready(self) -> str | None:
        """Say what is missing, or None: a readiness check."""
        try:
            async with self.read() as connection:
                await connection.fetchval("SELECT 1")
        except DatabaseUnavailableError as error:
            return f"Postgres: {error}"
        return None

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()


async def _connection(dsn: str, options: Mapping[str, Any]) -> asyncpg.Connection[Any]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, **options)
    return connection


async def _keep(connection: Connection) -> None:
    """Give a connection back as it is, unless a cancelled rollback left a transaction open.

    Nobody here sets anything for a session; asyncpg's own four reset statements would follow
    every single transaction.
    """
    if connection.is_in_transaction():
        await connection.reset()


async def _codecs(connection: Connection) -> None:
    """Hand jsonb over as Python objects, in both directions."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )
