"""What a service's own role may do with each table: no more than its statements need."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from chassis.database import Connection
from chassis.errors import ConfigurationError

FILE = "rights.toml"
VERBS = frozenset({"INSERT", "UPDATE", "DELETE"})
SELECT = "SELECT"
# Rows of a partition are reached by way of its parent, whose rights count then.
HELD = """
SELECT c.relname AS name, c.relispartition AS part,
    coalesce(array_agg(a.privilege_type) FILTER (WHERE a.privilege_type IS NOT NULL), '{}') AS held
FROM pg_class c
LEFT JOIN LATERAL aclexplode(c.relacl) a ON a.grantee = $1::text::regrole
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
GROUP BY c.relname, c.relispartition ORDER BY c.relname
"""


class TableRights:
    """The rights of one role. A table that is not named may be read; without a file, written."""

    def __init__(self, role: str, verbs: Mapping[str, frozenset[str]] | None) -> None:
        self._role = role
        self._verbs = verbs

    @classmethod
    def read(cls, role: str, *folders: Path) -> TableRights:
        """Read `rights.toml` of the folders: table = "INSERT, UPDATE".

        The last is the service's own; without a file there, nothing is limited.
        """
        if not (folders[-1] / FILE).exists():
            return cls(role, None)
        verbs: dict[str, frozenset[str]] = {}
        for folder in folders:
            verbs |= verbs_of(folder / FILE)
        return cls(role, verbs)

    async def apply(self, connection: Connection, *, revoke: bool) -> list[str]:
        """Give what is missing, in the schema of the search path, and take what is too much.

        `revoke=False`: another release may be at work, so nothing is taken; return what would be.
        """
        role = await connection.fetchval("SELECT quote_ident($1::text)", self._role)
        changes: list[str] = []
        surplus: list[str] = []
        for row in await connection.fetch(HELD, role):
            wanted = frozenset() if row["part"] else self._wanted(row["name"])
            held = frozenset(row["held"])
            table = '"' + row["name"].replace('"', '""') + '"'
            if more := held - wanted:
                surplus.append(f"REVOKE {', '.join(sorted(more))} ON {table} FROM {role}")
            if lacking := wanted - held:
                changes.append(f"GRANT {', '.join(sorted(lacking))} ON {table} TO {role}")
        if revoke:
            changes += surplus
        if changes:
            await connection.execute(";".join(changes))
        return [] if revoke else surplus

    def _wanted(self, table: str) -> frozenset[str]:
        if self._verbs is None:
            return VERBS | {SELECT}
        return self._verbs.get(table, frozenset()) | {SELECT}


def verbs_of(file: Path) -> dict[str, frozenset[str]]:
    """Read one file; raise ConfigurationError for a word that is no right to write."""
    found = {}
    for table, text in tomllib.loads(file.read_text()).items():
        verbs = frozenset(word.strip() for word in text.split(",") if word.strip())
        if unknown := verbs - VERBS:
            raise ConfigurationError(f"{file}: {table}: {', '.join(sorted(unknown))}")
        found[table] = verbs
    return found
