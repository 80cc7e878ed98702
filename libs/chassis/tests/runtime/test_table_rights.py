"""Rights no list can take are told, a misspelt table is refused, a lock is not waited for."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chassis import migrations, table_rights
from chassis.errors import ConfigurationError

ROLE = "toy_limited"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    up = "CREATE TABLE a (id int, other int); CREATE TABLE b (id int); CREATE TABLE c (id int)"
    (tmp_path / "0001_pre_a.up.sql").write_text(up)
    (tmp_path / "0001_pre_a.down.sql").write_text("DROP TABLE a; DROP TABLE b; DROP TABLE c")
    (tmp_path / "rights.toml").write_text('a = "INSERT"')
    return tmp_path


async def job(dsn: str, folder: Path, phase: str = migrations.ALL) -> list[str]:
    return await migrations.migrate(dsn, schema="toy", folder=folder, phase=phase, role=ROLE)


@pytest.fixture
async def admin(database_dsn: str, folder: Path) -> AsyncIterator[asyncpg.Connection]:
    """An operator's connection, with the schema migrated for the role."""
    parts = urlsplit(database_dsn)
    role_dsn = urlunsplit(parts._replace(netloc=f"{ROLE}:secret@{parts.hostname}:{parts.port}"))
    await migrations.provision(database_dsn, role_dsn=role_dsn, schema="toy")
    await job(database_dsn, folder)
    connection = await asyncpg.connect(database_dsn, server_settings={"search_path": "toy"})
    yield connection
    for role in ("toy_group", "toy_other", ROLE):
        if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    await connection.close()


COLUMNS = "GRANT UPDATE (id), INSERT (id) ON b TO toy_limited"
GROUP = "CREATE ROLE toy_group; GRANT toy_group TO toy_limited; "
OTHER = "CREATE ROLE toy_other; GRANT USAGE ON SCHEMA toy TO toy_other; "
BY_OTHER = "SET ROLE toy_other; GRANT INSERT ON b TO toy_limited; RESET ROLE"


@pytest.mark.parametrize(
    ("granted", "told"),
    [
        (COLUMNS, ['INSERT, UPDATE on "b"']),
        ("GRANT DELETE ON b TO PUBLIC", ['DELETE on "b"']),
        (f"{GROUP} GRANT INSERT ON b, c TO toy_group", ['INSERT on "b"', 'INSERT on "c"']),
        (
            f"ALTER ROLE toy_limited NOINHERIT; {GROUP} GRANT TRUNCATE ON a TO toy_group",
            ['TRUNCATE on "a"'],
        ),
        (
            f"{OTHER} GRANT INSERT ON b TO toy_other WITH GRANT OPTION; {BY_OTHER}",
            ['INSERT on "b"'],
        ),
    ],
    ids=["columns", "public", "a group", "a group it may become", "another grantor"],
)
async def test_what_the_list_cannot_take_is_told(
    admin: asyncpg.Connection, database_dsn: str, folder: Path, granted: str, told: list[str]
) -> None:
    assert await job(database_dsn, folder) == []
    await admin.execute(granted)

    found = await job(database_dsn, folder)

    assert [each.partition(":")[0] for each in found] == [
        f"{ROLE} may still {each}" for each in told
    ]
    assert not any("still" in each for each in await job(database_dsn, folder, migrations.PRE)), (
        "the release before may need it"
    )


async def test_a_role_that_nothing_limits_is_told_in_one_line(
    admin: asyncpg.Connection, database_dsn: str, folder: Path
) -> None:
    await admin.execute("ALTER ROLE toy_limited SUPERUSER")

    assert await job(database_dsn, folder) == [f"{ROLE} may still do all: it is a superuser"]


@pytest.mark.parametrize(
    ("owned", "count"),
    [
        ("ALTER TABLE b OWNER TO toy_limited", 1),
        (f"{GROUP} ALTER TABLE b OWNER TO toy_group", 1),
        ("ALTER SCHEMA toy OWNER TO toy_limited", 0),
    ],
    ids=["itself", "a group it may become", "the schema"],
)
async def test_an_owner_is_told_who_has_no_grant_and_needs_none(
    admin: asyncpg.Connection, database_dsn: str, folder: Path, owned: str, count: int
) -> None:
    await admin.execute(owned)
    count = count or await admin.fetchval(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'toy'::regnamespace"
        " AND relkind IN ('r', 'p')"
    )

    try:
        assert await job(database_dsn, folder) == [
            f"{ROLE} may still do all with {count} tables: {table_rights.OWNING}"
        ]
    finally:
        await admin.execute(f"REASSIGN OWNED BY {ROLE} TO CURRENT_USER")


@pytest.mark.parametrize("phase", [migrations.PRE, migrations.ALL])
async def test_a_misspelt_table_is_refused(
    admin: asyncpg.Connection, database_dsn: str, folder: Path, phase: str
) -> None:
    (folder / "rights.toml").write_text('a = "INSERT"\nbb = "DELETE"')

    with pytest.raises(ConfigurationError, match=r"rights\.toml: no table of toy is called bb"):
        await job(database_dsn, folder, phase)


async def test_a_table_may_be_named_before_it_is_made_and_after_it_is_gone(
    admin: asyncpg.Connection,
    database_dsn: str,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """By a `post` step that waits; and in the file of a release before, which knows no better."""
    newer = tmp_path_factory.mktemp("newer")
    shutil.copytree(folder, newer, dirs_exist_ok=True)
    (newer / "0002_post_d.up.sql").write_text("CREATE TABLE d (id int); DROP TABLE a")
    (newer / "0002_post_d.down.sql").write_text("DROP TABLE d; CREATE TABLE a (id int)")
    (newer / "rights.toml").write_text('d = "INSERT"')

    assert "waits service/0002_post_d" in await job(database_dsn, newer, migrations.PRE)
    await job(database_dsn, newer)

    assert await job(database_dsn, folder, migrations.PRE) == [
        f'waits REVOKE INSERT ON "d" FROM {ROLE}'
    ]


async def test_a_table_somebody_holds_is_not_waited_for(
    admin: asyncpg.Connection,
    database_dsn: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would hold the migrations' own lock until its Job's deadline."""
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    await admin.execute("GRANT TRUNCATE ON a TO toy_limited")
    async with admin.transaction():
        await admin.execute("LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with asyncio.timeout(10):
                await job(database_dsn, folder)

    assert await job(database_dsn, folder) == []
