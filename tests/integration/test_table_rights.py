"""A service's role does what the service's statements need, and every excess is refused."""

import ast
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chassis import migrations, table_rights
from chassis.migrations import RUNTIME_FOLDER
from devstack.releases import LAST_RELEASE, unpacked

ROOT = Path(__file__).parents[2]
SERVICES = ("gateway", "billing", "vpn", "scheduler")
FILLED_IN = "filled_in"
SWEPT = ("updates", "messages", "files", "checkouts", "deliveries")
BUILT = {
    # By COPY.
    "billing": {table: {"INSERT"} for table in ("transfers", "orders")},
    # gateway.adapters.sweep, whose statement is put together.
    "gateway": {table: {"DELETE"} for table in SWEPT},
}
"""What no statement in the sources names."""
PUT_TOGETHER = {"gateway": {"DELETE"}}
"""Where a table's name is filled in; whoever adds one adds its tables to BUILT."""

MIGRATIONS_ALONE = ("schema_version",)
"""Written by no service."""


def folder_of(service: str) -> Path:
    return ROOT / "services" / service / "migrations"


def declared(service: str) -> dict[str, frozenset[str]]:
    files = [folder / table_rights.FILE for folder in (RUNTIME_FOLDER, folder_of(service))]
    runtime, own = (table_rights.verbs_of(file) for file in files)
    return runtime | own


def statements(sources: Path) -> Iterator[str]:
    for file in sources.rglob("*.sql"):
        if not file.parent.name.startswith("migrations"):
            text = re.sub(r"--.*", "", file.read_text())
            yield from re.split(r";\s*$", text, flags=re.MULTILINE)
    for file in sources.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(each.value) if isinstance(each, ast.Constant) else FILLED_IN
                    for each in node.values
                )


def used(sources: Path) -> dict[str, set[str]]:
    """What the statements of the sources write, by table."""
    found: dict[str, set[str]] = defaultdict(set)
    for text in statements(sources):
        for insert in re.finditer(r"INSERT INTO (\w+)(.*?)(?=INSERT INTO|\Z)", text, re.DOTALL):
            found[insert[1]].add("INSERT")
            if "DO UPDATE" in insert[2]:
                found[insert[1]].add("UPDATE")
        for update in re.finditer(r"\bUPDATE (?:ONLY )?(\w+)(?:\s+(?:AS\s+)?\w+)?\s+SET\b", text):
            found[update[1]].add("UPDATE")
        for delete in re.finditer(r"DELETE FROM (\w+)", text):
            found[delete[1]].add("DELETE")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_rights_are_what_the_statements_need(service):
    runtime, own = used(ROOT / "libs/chassis/src"), used(ROOT / "services" / service / "src")
    rights = declared(service)
    needed = {
        table: frozenset(
            runtime.get(table, set())
            | own.get(table, set())
            | BUILT.get(service, {}).get(table, set())
        )
        for table in rights
    }
    needed |= dict.fromkeys(MIGRATIONS_ALONE, frozenset())

    assert rights == needed
    assert own.get(FILLED_IN, set()) == PUT_TOGETHER.get(service, set())
    assert runtime.get(FILLED_IN, set()) == set()


class Shop(NamedTuple):
    service: str
    admin: asyncpg.Connection
    role: asyncpg.Connection


@asynccontextmanager
async def opened(service: str, dsn: str, *runs: tuple[Path, str]) -> AsyncIterator[Shop]:
    """A service's schema after these runs of `migrate`, each a folder and its phase."""
    parts = urlsplit(dsn)
    name = f"rights_{service}"
    role_dsn = urlunsplit(parts._replace(netloc=f"{name}:secret@{parts.hostname}:{parts.port}"))
    await migrations.provision(dsn, role_dsn=role_dsn, schema=service)
    for folder, phase in runs:
        await migrations.migrate(dsn, schema=service, folder=folder, phase=phase, role=name)
    path = {"search_path": service}
    admin = await asyncpg.connect(dsn, server_settings=path)
    role = await asyncpg.connect(role_dsn, server_settings=path)
    yield Shop(service, admin, role)
    await role.close()
    await admin.execute(f"DROP OWNED BY {name}")
    await admin.close()


@pytest.fixture(params=SERVICES)
async def shop(request, database_dsn: str) -> AsyncIterator[Shop]:
    """A service's schema, and a connection as the role that the service has."""
    run = (folder_of(request.param), migrations.ALL)
    async with opened(request.param, database_dsn, run) as found:
        yield found


async def refused(connection: asyncpg.Connection, statement: str) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def columns(shop: Shop) -> dict[str, str]:
    """A column of every table, partitions too."""
    rows = await shop.admin.fetch(
        "SELECT table_name, min(column_name) AS name FROM information_schema.columns "
        "WHERE table_schema = $1 GROUP BY table_name",
        shop.service,
    )
    return {row["table_name"]: row["name"] for row in rows}


def writing(table: str, column: str) -> dict[str, str]:
    return {
        "INSERT": f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE false",
        "UPDATE": f"UPDATE {table} SET {column} = {column} WHERE false",
        "DELETE": f"DELETE FROM {table} WHERE false",
    }


async def test_a_role_writes_what_is_declared_and_nothing_more(shop: Shop):
    rights = declared(shop.service)
    wrong = []
    for table, column in (await columns(shop)).items():
        for verb, statement in writing(table, column).items():
            allowed = verb in rights.get(table, frozenset())
            if await refused(shop.role, statement) == allowed:
                wrong.append((table, verb, allowed))

    assert wrong == []


@pytest.mark.parametrize("service", SERVICES)
async def test_what_the_last_release_needs_is_still_given(
    service: str, tmp_path: Path, database_dsn: str
):
    """It runs beside this one, and again after a rollback."""
    last = unpacked(LAST_RELEASE, tmp_path)
    if last is None:
        pytest.skip(f"RIGHTS OF THE LAST RELEASE NOT COMPARED: git does not know {LAST_RELEASE}")
    own = used(last.root / "services" / service / "src")
    runtime = used(last.root / "libs/chassis/src")
    before = last.root / "services" / service / "migrations"
    runs = ((before, migrations.ALL), (folder_of(service), migrations.PRE))

    async with opened(service, database_dsn, *runs) as shop:
        lacking = [
            (table, verb)
            for table, column in (await columns(shop)).items()
            for verb, statement in writing(table, column).items()
            if verb in own.get(table, set()) | runtime.get(table, set())
            if await refused(shop.role, statement)
        ]

    assert runtime["outbox"] == {"INSERT", "UPDATE"}
    assert lacking == []


async def test_every_table_is_declared_and_can_be_read(shop: Shop):
    tables = set(await columns(shop))

    assert tables == set(declared(shop.service))
    for table in tables:
        assert not await refused(shop.role, f"SELECT FROM {table} WHERE false")


async def test_a_role_changes_no_table_no_schema_and_no_role(shop: Shop):
    tables = await columns(shop)
    await shop.role.execute(
        "SELECT ensure_day_partitions(current_date, current_date, current_date)"
    )
    day = await shop.admin.fetchval("SELECT to_char(current_date, 'YYYYMMDD')")
    attempts = [
        statement
        for table in tables
        for statement in (
            f"TRUNCATE {table}",
            f"DROP TABLE {table} CASCADE",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"ALTER TABLE {table} ADD COLUMN more int",
            f"CREATE RULE more AS ON INSERT TO {table} DO INSTEAD NOTHING",
        )
    ]
    attempts += [
        "CREATE TABLE more (id int)",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA more",
        "CREATE TABLE public.more (id int)",
        "CREATE ROLE more",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "SET ROLE postgres",
        "SET session_replication_role = replica",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
        f"DELETE FROM inbox_{day}",
        f"SELECT * FROM outbox_{day}",
    ]

    done = [each for each in attempts if not await refused(shop.role, each)]
    assert done == []


async def test_a_role_reads_no_other_services_schema(shop: Shop, database_dsn: str):
    await shop.admin.execute("CREATE SCHEMA other; CREATE TABLE other.secrets (x int)")

    assert await refused(shop.role, "SELECT * FROM other.secrets")
    assert await refused(shop.role, "CREATE TABLE other.more (x int)")


async def test_rights_of_an_earlier_release_are_taken_away(shop: Shop, database_dsn: str):
    role = f"rights_{shop.service}"
    await shop.admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {shop.service} TO {role}")
    assert not await refused(shop.role, "TRUNCATE inbox")

    done = await migrations.migrate(
        database_dsn, schema=shop.service, folder=folder_of(shop.service), role=role
    )

    assert done == []
    assert await refused(shop.role, "TRUNCATE inbox")
    assert await refused(shop.role, "DELETE FROM schema_version")
