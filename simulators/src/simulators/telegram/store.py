"""The optional SQLite file that lets a chat survive a restart."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists records (
    kind text not null, key text not null, body text not null, primary key (kind, key)
)
"""
WRITE = "insert or replace into records (kind, key, body) values (?, ?, ?)"


class Store:
    def __init__(self, path: Path | None) -> None:
        self._dirty: dict[tuple[str, str], Any] = {}
        self._database: sqlite3.Connection | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = normal")
            self._database.execute(SCHEMA)

    @property
    def kept(self) -> bool:
        return self._database is not None

    def save(self, kind: str, key: str | int, record: Any) -> None:
        """Remember to write the record (a dataclass, or a function that makes a dict).

        It is serialised at the next flush, not now.
        """
        if self._database is not None:
            self._dirty[kind, str(key)] = record

    def load(self, kind: str) -> Iterator[dict[str, Any]]:
        if self._database is None:
            return
        rows = self._database.execute("select body from records where kind = ?", (kind,))
        for (body,) in rows.fetchall():
            yield json.loads(body)

    def flush(self) -> None:
        if self._database is None or not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        rows = [(kind, key, _encode(record)) for (kind, key), record in dirty.items()]
        with self._database:
            self._database.executemany(WRITE, rows)

    def forget(self) -> None:
        self._dirty.clear()
        if self._database is not None:
            with self._database:
                self._database.execute("delete from records")

    def close(self) -> None:
        self.flush()
        if self._database is not None:
            self._database.close()
            self._database = None


def _encode(record: Any) -> str:
    if callable(record):
        record = record()
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        # Not asdict: its deep copy costs more than the encoding, and nobody keeps this one.
        names = [field.name for field in dataclasses.fields(record)]
        record = {name: getattr(record, name) for name in names}
    return json.dumps(record, ensure_ascii=False)
