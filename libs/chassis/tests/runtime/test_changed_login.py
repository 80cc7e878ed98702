"""A login changes under a running process: nothing is restarted, and no statement fails."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from chassis import migrations
from chassis.database import Database, DatabaseUnavailableError
from chassis.errors import ConfigurationError
from chassis.settings import DatabaseSettings
from devstack.postgres import Postgres
from devstack.testing import running_postgres

SCHEMA = "toy"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A Postgres that asks for passwords."""
    with running_postgres(password="root") as server:
        yield server


class Secret:
    """The mounted file, and the Job that gives the role its password."""

    def __init__(self, server: Postgres, file: Path) -> None:
        self._server = server
        self.file = file

    def url(self, password: str, role: str = "toy_role") -> str:
        return self._server.dsn(role, "postgres", password)

    def write(self, password: str, role: str = "toy_role") -> None:
        self.file.write_text(self.url(password, role))

    async def job(self) -> None:
        admin = self._server.dsn()
        await migrations.provision(admin, role_dsn=self.file.read_text(), schema=SCHEMA)

    @property
    def login(self) -> Callable[[], str]:
        return DatabaseSettings(database_url_file=str(self.file)).login


@pytest.fixture
def secret(server: Postgres, tmp_path: Path) -> Secret:
    return Secret(server, tmp_path / "url")


async def works(database: Database, connections: int = 3) -> set[str]:
    """Use so many connections at once; return whom they are logged in as."""
    async with AsyncExitStack() as stack:
        lent = [await stack.enter_async_context(database.read()) for _ in range(connections)]
        return {await each.fetchval("SELECT current_user") for each in lent}


@pytest.mark.parametrize("role", ["toy_role", "toy_role_2"], ids=["password", "another role"])
async def test_a_pool_goes_from_the_old_login_to_the_new_one(secret: Secret, role: str) -> None:
    secret.write("first")
    await secret.job()
    database = await Database.connect(secret.login, schema=SCHEMA)
    assert await works(database) == {"toy_role"}

    # Between the Secret and the Job the server knows the old one alone.
    secret.write("second", role)
    await database.pool.expire_connections()
    assert await works(database) == {"toy_role"}

    await secret.job()
    await database.pool.expire_connections()
    assert await works(database) == {role}
    await database.close()
    another = await Database.connect(secret.login, schema=SCHEMA)
    assert await works(another) == {role}
    await another.close()


async def test_the_password_before_is_worth_nothing_afterwards(secret: Secret) -> None:
    for password in ("first", "second"):
        secret.write(password)
        await secret.job()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(secret.url("first"))


async def test_who_has_not_seen_the_new_file_goes_on_with_what_it_has(secret: Secret) -> None:
    """The Job was faster than the kubelet: open connections stay, new ones wait for the file."""
    secret.write("first")
    await secret.job()
    database = await Database.connect(secret.login, schema=SCHEMA)
    secret.write("second")
    await secret.job()
    secret.write("first")

    assert await works(database, 1) == {"toy_role"}
    await database.pool.expire_connections()
    with pytest.raises(DatabaseUnavailableError):
        await works(database, 1)
    secret.write("second")
    assert await works(database) == {"toy_role"}
    await database.close()


@pytest.mark.parametrize("text", ["", "no URL", None], ids=["empty", "nonsense", "gone"])
async def test_a_file_that_is_damaged_later_is_waited_for(secret: Secret, text: str | None) -> None:
    secret.write("first")
    await secret.job()
    database = await Database.connect(secret.login, schema=SCHEMA)
    await database.pool.expire_connections()
    secret.file.unlink() if text is None else secret.file.write_text(text)

    with pytest.raises(DatabaseUnavailableError):
        await works(database, 1)
    secret.write("first")
    assert await works(database) == {"toy_role"}
    await database.close()


async def test_a_file_that_holds_no_url_is_said_at_the_start(secret: Secret) -> None:
    for text in ("no URL", "postgresql://toy:hunter#2@127.0.0.1/x", "hunter://toy@127.0.0.1/x"):
        secret.file.write_text(text)

        with pytest.raises(ConfigurationError, match="not a Postgres URL") as refused:
            await Database.connect(secret.login, schema=SCHEMA)
        # A password with `#` in it is taken for a port, which asyncpg quotes.
        assert "hunter" not in "".join(traceback.format_exception(refused.value))
