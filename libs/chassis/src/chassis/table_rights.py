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
TABLES = """
SELECT relname AS name FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
"""
BEYOND = ("TRUNCATE", "REFERENCES", "TRIGGER")
"""No service needs these."""
MAINTAIN_SINCE = 17
WAYS = "by a column's grant, PUBLIC, a group or another grantor"
OWNING = "it is, or may become, who owns them or their schema"
# Whatever the way: of a column, by PUBLIC, by a role that this one is or may become.
MAY = """
SELECT c.relname AS name, c.relispartition AS part, array_agg(verb ORDER BY verb) AS may
FROM pg_class c CROSS JOIN unnest($2::text[]) AS verb
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
    AND EXISTS (
        SELECT FROM pg_roles m
        WHERE pg_has_role($1::text::regrole, m.oid, 'MEMBER')
            AND CASE WHEN verb IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                THEN has_any_column_privilege(m.oid, c.oid, verb)
                ELSE has_table_privilege(m.oid, c.oid, verb) END
    )
GROUP BY c.relname, c.relispartition ORDER BY c.relname
"""

# An owner's rights are no grants: those it took from itself it gives itself back, and it may drop.
OWNED = """
SELECT c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm')
    AND (pg_has_role($1::text::regrole, c.relowner, 'MEMBER')
        OR pg_has_role($1::text::regrole, n.nspowner, 'MEMBER'))
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

    async def check(self, connection: Connection) -> None:
        """Raise ConfigurationError for a table that is not there: a misspelt one gives no right.

        To be asked when every step of this release, and none of a later one, is applied.
        """
        known = {row["name"] for row in await connection.fetch(TABLES)}
        if unknown := sorted(self._verbs.keys() - known if self._verbs else ()):
            schema = await connection.fetchval("SELECT current_schema()")
            raise ConfigurationError(f"{FILE}: no table of {schema} is called {', '.join(unknown)}")

    async def still(self, connection: Connection) -> list[str]:
        """Say what the role may beyond its list, by grants that are not `apply`'s to take."""
        role = await connection.fetchval("SELECT quote_ident($1::text)", self._role)
        if await connection.fetchval(
            "SELECT rolsuper FROM pg_roles WHERE rolname = $1", self._role
        ):
            return [f"{role} may still do all: it is a superuser"]
        asked = [SELECT, *sorted(VERBS), *BEYOND]
        if connection.get_server_version().major >= MAINTAIN_SINCE:
            asked.append("MAINTAIN")
        owned = {row["name"] for row in await connection.fetch(OWNED, role)}
        found = [f"{role} may still do all with {len(owned)} tables: {OWNING}"] if owned else []
        for row in await connection.fetch(MAY, role, asked):
            if row["name"] in owned:
                continue
            wanted = frozenset() if row["part"] else self._wanted(row["name"])
            if more := sorted(frozenset(row["may"]) - wanted):
                found.append(f'{role} may still {", ".join(more)} on "{row["name"]}": {WAYS}')
        return found

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
