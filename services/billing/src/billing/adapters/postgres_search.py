"""Finds whatever has an id in billing's tables and tells it as facts in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from billing.adapters.queries import read
from chassis.database import Connection, Database
from contracts.ids import USER_ID_MAX
from contracts.operators import Fact

DIGITS_MAX = 19
ORDERS_TOLD = 20
"""Of one subscription, the newest."""
SQL = read(Path(__file__).with_name("search.sql"))


class PostgresSearch:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: str, limit: int) -> Sequence[Fact]:
        facts: list[Fact] = []
        wanted = Wanted.of(query)
        async with self._database.read() as connection:
            for row in await connection.fetch(SQL["find_users_of"], *wanted):
                facts += await _of(connection, row["record"], row["id"], row["user_id"], limit)
            facts += await _facts(connection, "find_actions", wanted.subjects, limit)
        told = {(fact.what, fact.id, fact.at): fact for fact in facts}
        return sorted(told.values(), key=_at)[:limit]


class Wanted(NamedTuple):
    """A query as each kind of id it may be: columns are compared as they are, so indexes serve."""

    texts: list[str]
    """As it was typed, and the one spelling of a UUID: a provider's id may look like one."""
    uuid: UUID | None
    number: int | None
    code: str

    @property
    def subjects(self) -> list[str]:
        """What operators did is noted under codes as they are kept, in whatever case one asks."""
        return list(dict.fromkeys([*self.texts, self.code]))

    @classmethod
    def of(cls, query: str) -> Wanted:
        uuid = _uuid(query)
        texts = [query] if uuid is None else [query, str(uuid)]
        plain = query.isascii() and query.isdigit() and len(query) <= DIGITS_MAX
        number = int(query) if plain and query[0] != "0" else None
        if number is not None and number > USER_ID_MAX:
            number = None
        return cls(texts, uuid, number, query.upper())


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _at(fact: Fact) -> Any:
    return fact.at


async def _of(
    connection: Connection, record: str, id_: str, user_id: int, limit: int
) -> list[Fact]:
    match record:
        case "order":
            return await _of_order(connection, id_, user_id, limit)
        case "subscription":
            # Few enough that each order's whole story fits; the newest are told.
            rows = await connection.fetch(SQL["find_subscription"], id_, ORDERS_TOLD)
            each = [await _of_order(connection, row["id"], user_id, limit) for row in rows]
            return [fact for facts in each for fact in facts]
        case "payment":
            found = await _facts(connection, "find_payment", id_)
            return found + await _facts(connection, "find_charges", [id_], UUID(id_), limit)
        case "user":
            found = await _facts(connection, "find_account", user_id)
            return found + await _facts(connection, "find_recent", user_id, limit // 5 + 1)
        case "charge":
            found = await _facts(connection, "find_charges", [id_], None, limit)
            payments = {fact.detail.get("payment", "") for fact in found} - {""}
            for payment_id in payments:
                found += await _facts(connection, "find_payment", payment_id)
            return found
    return await _facts(connection, f"find_{record}", id_)


async def _of_order(connection: Connection, order_id: str, user_id: int, limit: int) -> list[Fact]:
    found = await _facts(connection, "find_order", order_id)
    found += await _facts(connection, "find_access", order_id, limit)
    found += await _facts(connection, "find_refunds_of_order", order_id, limit)
    return found + await _facts(connection, "find_transfers_of_order", order_id, user_id, limit)


async def _facts(connection: Connection, name: str, *values: object) -> list[Fact]:
    return [_fact(row) for row in await connection.fetch(SQL[name], *values)]


def _fact(row: asyncpg.Record) -> Fact:
    detail = {
        key: str(value)
        for key, value in row["detail"].items()
        if value is not False and value not in (None, "")
    }
    return Fact(at=row["at"], what=row["what"], id=row["id"], detail=detail)
