"""Writes what accountants ask for into a file: charges, transfers or adjustments of a period."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from billing.adapters.queries import read
from chassis.database import Connection, Database

SQL = read(Path(__file__).with_name("exports.sql"))
KINDS = tuple(name.removeprefix("export_") for name in SQL)
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
ROWS_AT_ONCE = 5_000
"""So much is held in memory, however long the period."""


class _Writer(Protocol):
    def write(self, rows: Sequence[asyncpg.Record]) -> None: ...

    def close(self) -> None: ...


class _Csv:
    """UTF-8 with a header; moments in ISO 8601, an empty field for nothing."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def write(self, rows: Sequence[asyncpg.Record]) -> None:
        self._writer.writerows([_plain(value) for value in row.values()] for row in rows)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """One row group per batch; column types follow the database's."""

    def __init__(self, path: Path, attributes: Sequence[asyncpg.Attribute]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {
            "int4": pa.int32(),
            "int8": pa.int64(),
            "bool": pa.bool_(),
            "timestamptz": pa.timestamp("us", tz="UTC"),
        }
        self._arrow = pa
        self._schema = pa.schema(
            [(each.name, kinds.get(each.type.name, pa.string())) for each in attributes]
        )
        self._writer = parquet.ParquetWriter(path, self._schema)

    def write(self, rows: Sequence[asyncpg.Record]) -> None:
        table = self._arrow.Table.from_pylist([dict(row) for row in rows], schema=self._schema)
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_BEGINS):
        # A reason somebody typed must not be carried out by the accountant's spreadsheet.
        return f"'{value}"
    return "" if value is None else value


async def export(
    database: Database, kind: str, since: datetime, until: datetime, path: Path
) -> int:
    """Write rows from `since` up to, not with, `until`; return how many. The suffix decides how.

    Raises ValueError for another suffix than .csv and .parquet, and for Parquet without pyarrow.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise ValueError(f"{path.name}: only .csv and .parquet are written")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ValueError(
            f"{path.name}: Parquet needs pyarrow (`billing[export]`), which is in the operator's "
            "image and not in billing's; a .csv needs nothing"
        )
    count = 0
    async with database.read() as connection, _rows(connection, kind, since, until) as found:
        attributes, batches = found
        names = [each.name for each in attributes]
        writer: _Writer = _Csv(path, names) if path.suffix == ".csv" else _Parquet(path, attributes)
        try:
            async for batch in batches:
                writer.write(batch)
                count += len(batch)
        finally:
            writer.close()
    return count


@asynccontextmanager
async def _rows(
    connection: Connection, kind: str, since: datetime, until: datetime
) -> AsyncIterator[tuple[Sequence[asyncpg.Attribute], AsyncIterator[Sequence[asyncpg.Record]]]]:
    """One snapshot, read by a cursor."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        statement = await connection.prepare(SQL[f"export_{kind}"])
        cursor = await statement.cursor(since, until)

        async def batches() -> AsyncIterator[Sequence[asyncpg.Record]]:
            while batch := await cursor.fetch(ROWS_AT_ONCE):
                yield batch

        yield statement.get_attributes(), batches()
