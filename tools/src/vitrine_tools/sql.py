"""`vitrine sql`: one question to a service's tables, in a transaction that changes no row."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import asyncpg
from rich.table import Table

from chassis.database import NOT_A_URL
from vitrine_tools import screen
from vitrine_tools.screen import plain
from vitrine_tools.settings import Databases

SERVICES = tuple(Databases.model_fields)
CONNECT_SECONDS_MAX = 5.0
STATEMENT_SECONDS_MAX = 60.0
SILENCE_SECONDS_MAX = 5.0
"""Beyond that, when not even the server's own refusal comes."""
LOCK_SECONDS_MAX = 5.0
ROWS_MAX = 1_000


class SqlError(Exception):
    """Why there is no answer, as a sentence on one line: logs are read line by line."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", choices=SERVICES, help="whose login asks")
    parser.add_argument("question", help="one statement; its tables may go without the schema")


async def run(given: argparse.Namespace) -> None:
    """Ask and print. Raises SqlError."""
    url = Databases().url_of(given.service)
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=STATEMENT_SECONDS_MAX + SILENCE_SECONDS_MAX,
            server_settings={
                "search_path": given.service,
                "application_name": "vitrine-sql",
                "default_transaction_read_only": "on",
                "statement_timeout": f"{STATEMENT_SECONDS_MAX:g}s",
                "lock_timeout": f"{LOCK_SECONDS_MAX:g}s",
            },
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InternalClientError) as error:
        why = _one_line(error) or type(error).__name__
        raise SqlError(f"no database answers {given.service}'s login: {why}") from error
    except (ValueError, asyncpg.InterfaceError):
        # asyncpg quotes the URL, and with `#` or `/` in it a password is taken for a port.
        raise SqlError(f"{given.service.upper()}_DATABASE_URL: {NOT_A_URL}") from None
    try:
        _show(*await _ask(connection, given.question))
    except TimeoutError as error:
        raise SqlError("no answer: the database is silent") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise SqlError(_one_line(error)) from error
    except (ValueError, OverflowError) as error:
        # Postgres knows hours and years that Python does not: 24:00, 290000-01-01.
        raise SqlError(f"a value cannot be shown ({_one_line(error)}): cast it to text") from error
    finally:
        await connection.close(timeout=CONNECT_SECONDS_MAX)


def _one_line(error: BaseException) -> str:
    """What Postgres adds on lines of its own follows on the same; what it quotes is written out."""
    text = str(error)
    for addition in ("DETAIL: ", "HINT: "):
        text = text.replace(f"\n{addition}", f" {addition}")
    return plain(text)


async def _ask(connection: asyncpg.Connection[Any], question: str) -> tuple[list[str], list[Any]]:
    """Return the columns and at most one row more than is shown."""
    # One statement by the extended protocol: nothing can follow that ends the transaction.
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        prepared = await connection.prepare(question)
        columns = [each.name for each in prepared.get_attributes()]
        if not columns:
            raise SqlError("that is no question: nothing would be answered")
        cursor = await prepared.cursor()
        return columns, await cursor.fetch(ROWS_MAX + 1)
    finally:
        # Never committed: a NOTIFY, which a transaction that only reads may give, is not sent.
        # A connection that has ended would say so here, in place of why.
        if not connection.is_closed():
            await transaction.rollback()


def _show(columns: Sequence[str], rows: Sequence[Any]) -> None:
    console = screen.wide_console()
    table = Table(*map(plain, columns))
    for row in rows[:ROWS_MAX]:
        table.add_row(*("" if value is None else plain(value) for value in row))
    if rows:
        console.print(table)
    else:
        console.print("no rows")
    if len(rows) > ROWS_MAX:
        console.print(f"these are the first {ROWS_MAX}; there are more")
