"""What a judge of the platform says about one invariant, and how it asks the database."""

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: what it says, how many cases were looked at, and which broke it."""

    number: str
    says: str
    looked_at: int
    broken: tuple[str, ...]


async def rows(connection: asyncpg.Connection, query: str, *values: object) -> tuple[str, ...]:
    """Return what a query finds, each row as one line for people."""
    found = await connection.fetch(query, *values)
    return tuple(" ".join(str(value) for value in row.values()) for row in found)


async def count(connection: asyncpg.Connection, query: str, *values: object) -> int:
    return int(await connection.fetchval(query, *values) or 0)
