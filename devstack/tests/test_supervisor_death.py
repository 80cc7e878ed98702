import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.processes import ChildProcess, processes_inside
from devstack.testing import ended, scratch_folder, wait_until

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from devstack.nats_server import NatsServer
from devstack.postgres import Postgres

async def main(folder, postgres_port, nats_port):
    postgres = Postgres(folder / "postgres", postgres_port)
    nats = NatsServer(folder / "nats", nats_port)
    await asyncio.gather(postgres.start(), nats.start())
    print(postgres.pid, nats.pid, postgres.data_dir, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""
# Long enough to be running when the supervisor dies, in a backend that waits for no event.
BUSY_QUERY = "SELECT count(*) FROM generate_series(1, 2000000000)"


@pytest.fixture
def folder():
    with scratch_folder() as folder:
        yield folder


async def test_killing_the_supervisor_leaves_no_server_behind(folder):
    port = free_port()
    supervisor, pids, data_dir = _start_supervisor(folder, port)
    dsn = Postgres(folder / "postgres", port).dsn()
    connection = await asyncpg.connect(dsn)
    busy = asyncio.create_task(connection.fetchval(BUSY_QUERY))
    await wait_until(lambda: _runs(dsn), "the query runs")
    backends = [*processes_inside(data_dir), *pids]
    assert len(backends) > 4

    supervisor.kill()
    supervisor.wait()

    with pytest.raises((asyncpg.PostgresError, OSError)):
        await busy
    await wait_until(lambda: all(map(ended, backends)), "end of both servers")
    assert processes_inside(data_dir) == []


async def test_the_next_supervisor_starts_on_what_the_killed_one_left(folder):
    port = free_port()
    supervisor, _, _ = _start_supervisor(folder, port)
    server = Postgres(folder / "postgres", port)
    connection = await asyncpg.connect(server.dsn())
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS answer")

    supervisor.kill()
    supervisor.wait()
    await server.start()  # at once: the old server may still be on its way out

    connection = await asyncpg.connect(server.dsn())
    assert await connection.fetchval("SELECT answer FROM kept") == 7
    await connection.close()
    await server.kill()


def test_a_child_whose_parent_is_already_gone_does_not_start():
    child = ChildProcess("late", ["/bin/true"])
    child.start()
    shim = list(child._popen.args)
    child._popen.wait()
    position = shim.index(str(os.getpid()))
    shim[position] = "1"  # as if we had died and been replaced

    answer = subprocess.run(shim, capture_output=True, text=True, check=False)

    assert answer.returncode != 0
    assert "parent 1 is gone" in answer.stderr


async def _runs(dsn: str) -> bool:
    looking = await asyncpg.connect(dsn)
    try:
        return await looking.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = $1 AND state = 'active')",
            BUSY_QUERY,
        )
    finally:
        await looking.close()


def _start_supervisor(folder: Path, port: int) -> tuple[subprocess.Popen[str], list[int], Path]:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(folder), str(port), str(free_port())],
        stdout=subprocess.PIPE,
        text=True,
    )
    postgres_pid, nats_pid, data_dir = supervisor.stdout.readline().split()
    return supervisor, [int(postgres_pid), int(nats_pid)], Path(data_dir)
