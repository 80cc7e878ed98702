"""Migrations go up, down and up again; an edited or missing file is refused; roles are made."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chassis import migrations
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

    steps = [
        "runtime/0001_pre_runtime",
        "runtime/0002_pre_effects_settled",
        "runtime/0003_pre_effects_about",
        "runtime/0004_pre_effects_repeated",
        "service/0001_pre_toy",
    ]
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


def step(folder: Path, name: str, up: str = "SELECT 1", down: str = "SELECT 1") -> None:
    (folder / f"{name}.up.sql").write_text(up)
    (folder / f"{name}.down.sql").write_text(down)


class Platform:
    """A role, and the Jobs of releases: each migrates as a service's `migrate` does."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self.role_dsn = urlunsplit(
            parts._replace(netloc=f"toy_role:secret@{parts.hostname}:{parts.port}")
        )
        self._dsn = dsn

    async def job(self, folder: Path, phase: str = migrations.PRE) -> list[str]:
        await migrations.provision(self._dsn, role_dsn=self.role_dsn, schema="toy")
        return await migrations.migrate(
            self._dsn, schema="toy", folder=folder, phase=phase, role="toy_role"
        )

    async def refused(self, *statements: str) -> list[str]:
        """Which of these the role may not do."""
        found = []
        connection = await asyncpg.connect(self.role_dsn, server_settings={"search_path": "toy"})
        for each in statements:
            try:
                await connection.execute(each)
            except asyncpg.InsufficientPrivilegeError:
                found.append(each)
        await connection.close()
        return found


@pytest.fixture
def platform(database_dsn: str) -> Platform:
    return Platform(database_dsn)


@pytest.fixture
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two of them: the second has a step more, needs more rights, and one less."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    for each in (old, new):
        step(each, "0001_pre_a", "CREATE TABLE a (k text, other text)", "DROP TABLE a")
    (old / "rights.toml").write_text('a = "INSERT, DELETE"')
    step(new, "0002_pre_b", "CREATE TABLE b (k text)", "DROP TABLE b")
    (new / "rights.toml").write_text('a = "INSERT, UPDATE"\nb = "INSERT"')
    return old, new


OF_OLD = ("INSERT INTO a VALUES ('1')", "DELETE FROM a")
OF_NEW = ("INSERT INTO a VALUES ('1')", "UPDATE a SET k = '2'", "INSERT INTO b VALUES ('1')")


async def test_a_rollback_takes_no_right_from_who_still_serves(
    platform: Platform, releases: tuple[Path, Path]
) -> None:
    old, new = releases
    await platform.job(old)
    waiting = await platform.job(new)
    assert await platform.refused(*OF_OLD, *OF_NEW) == [], "both are at work"

    assert await platform.job(old) == [
        'waits REVOKE UPDATE ON "a" FROM toy_role',
        'waits REVOKE INSERT ON "b" FROM toy_role',
    ]

    assert await platform.refused(*OF_OLD, *OF_NEW) == []
    assert waiting == ["up service/0002_pre_b", 'waits REVOKE DELETE ON "a" FROM toy_role']


async def test_rights_nobody_needs_any_more_are_taken_when_that_is_said(
    platform: Platform, releases: tuple[Path, Path]
) -> None:
    old, new = releases
    await platform.job(old)
    await platform.job(new)

    assert await platform.job(new, migrations.ALL) == []

    assert await platform.refused(*OF_NEW, *OF_OLD) == ["DELETE FROM a"]
    # The release before again after all: it gets what it needs, and nobody loses anything.
    await platform.job(old)
    assert await platform.refused(*OF_NEW, *OF_OLD) == []


async def test_post_steps_wait_until_the_last_release_is_done_with(
    platform: Platform, releases: tuple[Path, Path], database_dsn: str
) -> None:
    _, new = releases
    await platform.job(new)
    step(new, "0003_post_other", "ALTER TABLE a DROP other", "ALTER TABLE a ADD other text")
    step(new, "0004_pre_c", "CREATE TABLE c (k text)", "DROP TABLE c")

    done = await platform.job(new)

    assert done == ["up service/0004_pre_c", "waits service/0003_post_other"]
    assert await platform.refused("INSERT INTO a (k, other) VALUES ('1', '2')") == []
    assert await platform.job(new) == ["waits service/0003_post_other"]
    connection = await asyncpg.connect(database_dsn, server_settings={"search_path": "toy"})
    assert await migrations.missing(connection, new) is None, "no pod waits for it"
    await connection.close()
    assert await platform.job(new, migrations.ALL) == ["up service/0003_post_other"]
    with pytest.raises(asyncpg.UndefinedColumnError):
        await platform.refused("INSERT INTO a (k, other) VALUES ('1', '2')")


async def test_a_first_installation_waits_for_nobody(
    platform: Platform, releases: tuple[Path, Path]
) -> None:
    _, new = releases
    step(new, "0003_post_other", "ALTER TABLE a DROP other", "ALTER TABLE a ADD other text")

    assert (await platform.job(new))[-1] == "up service/0003_post_other"
    assert await platform.job(new) == []
