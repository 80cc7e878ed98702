"""Finds whatever has an id in billing's tables and tells it as facts in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from billing.adapters.queries import read
from chassis.database import Connection, Database
from contracts.operators import Fact

SQL = read(Path(__file__).with_name("search.sql"))


class PostgresSearch:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: str, limit: int) -> Sequence[Fact]:
        facts: list[Fact] = []
        wanted = _canonical(query)
        async with self._database.read() as connection:
            for row in await connection.fetch(SQL["find_users_of"], wanted):
                facts += await _of(connection, row["record"], row["id"], row["user_id"], limit)
            facts += await _facts(connection, "find_actions", wanted, limit)
        return sorted({(fact.what, fact.id): fact for fact in facts}.values(), key=_at)[:limit]


def _canonical(query: str) -> str:
    """A UUID in any of its spellings becomes the one that is compared."""
    try:
        return str(UUID(query))
    except ValueError:
        return query


def _at(fact: Fact) -> Any:
    return fact.at


async def _of(
    connection: Connection, record: str, id_: str, user_id: int, limit: int
) -> list[Fact]:
    match record:
        case "order":
            found = await _facts(connection, "find_order", id_)
            return found + await _facts(connection, "find_transfers_of_order", id_, user_id, limit)
        case "payment":
            found = await _facts(connection, "find_payment", id_)
            return found + await _facts(connection, "find_charges", id_, limit)
        case "user":
            found = await _facts(connection, "find_account", user_id)
            return found + await _facts(connection, "find_recent", user_id, limit // 5 + 1)
        case "charge":
            found = await _facts(connection, "find_charges", id_, limit)
            payments = {fact.detail.get("payment", "") for fact in found} - {""}
            for payment_id in payments:
                found += await _facts(connection, "find_payment", payment_id)
            return found
    return await _facts(connection, f"find_{record}", id_)


async def _facts(connection: Connection, name: str, *values: object) -> list[Fact]:
    return [_fact(row) for row in await connection.fetch(SQL[name], *values)]


def _fact(row: asyncpg.Record) -> Fact:
    detail = {
        key: str(value) for key, value in row["detail"].items() if value not in (None, "", False)
    }
    return Fact(at=row["at"], what=row["what"], id=row["id"], detail=detail)
