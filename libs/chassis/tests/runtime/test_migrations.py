"""Migrations go up, down and up again; an edited or missing file is refused; roles are made."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chassis import migrations, table_rights
from chassis.errors import ConfigurationError


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'toy'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def test_up_down_up(database_dsn: str, toy_migrations: Path) -> None:
    up = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    full = await tables(database_dsn)
    down = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations, target=0)
    empty = await tables(database_dsn)
    again = await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)

    runtime = ["runtime/0001_pre_runtime", "runtime/0002_pre_effects_settled"]
    steps = [*runtime, "service/0001_pre_toy"]
    assert up == again == [f"up {step}" for step in steps]
    assert down == [f"down {step}" for step in reversed(steps)]
    assert empty == {"schema_version"}
    assert await tables(database_dsn) == full >= {"inbox", "outbox", "parked", "effects", "done"}


async def test_a_second_run_does_nothing(database_dsn: str, toy_migrations: Path) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)

    assert await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations) == []


async def test_an_edited_step_is_refused(database_dsn: str, toy_migrations: Path) -> None:
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)
    (toy_migrations / "0001_pre_toy.up.sql").write_text("SELECT 1")

    with pytest.raises(ConfigurationError, match="other content"):
        await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations)


def test_a_gap_in_the_numbers_is_refused(toy_migrations: Path) -> None:
    for end in ("up", "down"):
        (toy_migrations / f"0003_pre_later.{end}.sql").write_text("SELECT 1")

    with pytest.raises(ConfigurationError, match="0002 is missing"):
        migrations.steps_of(toy_migrations)


async def test_the_service_role_may_work_but_not_change_the_schema(
    database_dsn: str, toy_migrations: Path
) -> None:
    parts = urlsplit(database_dsn)
    role_dsn = urlunsplit(parts._replace(netloc=f"toy_role:p'w@{parts.hostname}:{parts.port}"))
    await migrations.provision(database_dsn, role_dsn=role_dsn, schema="toy")
    await migrations.migrate(
        database_dsn, schema="toy", folder=toy_migrations, role=migrations.role_of(role_dsn)
    )
    connection = await asyncpg.connect(role_dsn, server_settings={"search_path": "toy"})

    await connection.execute("INSERT INTO done (key) VALUES ('a')")
    await connection.execute(
        "SELECT ensure_day_partitions(current_date, current_date, current_date)"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE more (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DROP TABLE done")

    await connection.close()


async def test_an_old_release_keeps_its_rights_while_it_may_run(
    database_dsn: str, toy_migrations: Path
) -> None:
    parts = urlsplit(database_dsn)
    role_dsn = urlunsplit(parts._replace(netloc=f"toy_role:secret@{parts.hostname}:{parts.port}"))
    await migrations.provision(database_dsn, role_dsn=role_dsn, schema="toy")
    rights = toy_migrations / "rights.toml"

    async def migrated(done: str, phase: str = "") -> bool:
        """Migrate with these rights; whether rows of the table can be deleted then."""
        rights.write_text(f'done = "{done}"')
        await migrations.migrate(
            database_dsn, schema="toy", folder=toy_migrations, phase=phase, role="toy_role"
        )
        connection = await asyncpg.connect(role_dsn, server_settings={"search_path": "toy"})
        try:
            await connection.execute("DELETE FROM done")
        except asyncpg.InsufficientPrivilegeError:
            return False
        finally:
            await connection.close()
        return True

    assert await migrated("INSERT, DELETE")
    assert await migrated("INSERT", phase="pre")
    assert await migrated("INSERT, leaving DELETE")
    assert not await migrated("INSERT")
    # A rollback to the release that still needs it.
    assert await migrated("INSERT, DELETE", phase="pre")


def test_a_right_that_leaves_is_none_of_this_release_s_own(tmp_path: Path) -> None:
    (tmp_path / "rights.toml").write_text('done = "INSERT, leaving DELETE"')

    both = table_rights.verbs_of(tmp_path / "rights.toml")
    own = table_rights.verbs_of(tmp_path / "rights.toml", leaving=False)

    assert both == {"done": {"INSERT", "DELETE"}}
    assert own == {"done": {"INSERT"}}
