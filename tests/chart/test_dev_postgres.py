"""The start of dev.postgres is a script, run here as its container would by a real PostgreSQL."""

import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from devstack.accounts import account_home, can_reach, own_folder, postgres_account
from devstack.chart import render
from devstack.ports import LOOPBACK, free_port
from devstack.postgres import postgres_binaries
from devstack.processes import ChildProcess
from devstack.testing import wait_until

PASSWORD = "vitrine-dev"


@pytest.fixture
def folder(tmp_path):
    """Where the account Postgres runs as may write."""
    account = postgres_account()
    place = tmp_path / "postgres"
    if account is not None and not can_reach(account, place):
        place = account_home(account) / f"chart-{os.getpid()}"
    own_folder(account, place)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def server(folder):
    """The container's command, on loopback, below another root."""
    account = postgres_account()
    spec = render(("values-dev.yaml",)).of("StatefulSet")["postgres"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    password = folder / "password"
    password.write_text(PASSWORD)
    if account is not None:
        os.chown(password, account.uid, account.gid)
    script = container["args"][0].replace("listen_addresses='*'", f"listen_addresses={LOOPBACK}")
    script = script.replace("/etc/vitrine/postgres/password", str(password))
    script = script.replace("unix_socket_directories=/tmp", f"unix_socket_directories={folder}")
    environment = {
        "PATH": f"{postgres_binaries(account)}:/usr/bin:/bin",
        "PGDATA": str(folder / "data" / "pgdata"),
        "PGPORT": str(free_port()),
    }
    own_folder(account, folder / "data")
    # What a first start that was cut off may leave behind.
    own_folder(account, Path(f"{environment['PGDATA']}.new"))
    log = folder.parent / f"{folder.name}.log"
    child = ChildProcess(
        "dev-postgres",
        ["/bin/sh", *container["command"][1:], script],
        environment=environment,
        folder=folder,
        account=account,
        output=log,
    )
    yield child, environment
    log.unlink(missing_ok=True)


async def connected(environment, **given):
    asked = {"user": "postgres", "password": PASSWORD, "database": "vitrine", **given}
    port = int(environment["PGPORT"])
    return await asyncpg.connect(host=LOOPBACK, port=port, ssl=False, **asked)


async def answers(environment):
    try:
        await (await connected(environment)).close()
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def test_it_makes_the_database_once_and_keeps_it(server):
    child, environment = server
    child.start()
    try:
        await wait_until(lambda: answers(environment), "it answers", 60)
        connection = await connected(environment)
        await connection.execute("CREATE TABLE kept (id integer)")
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connected(environment, password="another")
        await child.terminate(20)
        child.start()
        await wait_until(lambda: answers(environment), "it answers", 60)
        connection = await connected(environment)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        await connection.close()
    finally:
        await child.terminate(20)
