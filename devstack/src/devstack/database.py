"""The one database that migrations expect; roles and schemas in it are theirs to make."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from devstack.errors import DatabaseError

CONNECT_TIMEOUT_SECONDS = 10.0


async def create_database(admin_dsn: str, name: str) -> None:
    """Create the database of the platform's own Postgres, once."""
    async with _connected(admin_dsn) as connection:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            # A name cannot be a parameter of this statement; the server quotes it.
            quoted = await connection.fetchval("SELECT quote_ident($1)", name)
            await connection.execute(f"CREATE DATABASE {quoted}")


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS)
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"database: {error or type(error).__name__}") from error
