"""The wire strikes exactly where it was told to, and carries everything else unchanged."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from devstack.kill_points import TRIES_MAX, moments_of, strike
from devstack.postgres_proxy import AFTER, COPY_DATA_ENDS, Point, PostgresProxy, Watch
from devstack.testing import ended, wait_until
from devstack.warm_starts import warm_starts

INSERT = "INSERT INTO kept VALUES ($1)"


class Wire:
    def __init__(self, dsn: str) -> None:
        self.strikes = 0
        self.watch = Watch(self._strike, lambda text: "pg_catalog" in text)
        self.dsn = dsn
        self.proxy = PostgresProxy(urlsplit(dsn).port, self.watch)

    def _strike(self) -> None:
        self.strikes += 1

    async def connect(self) -> asyncpg.Connection:
        port = urlsplit(self.dsn).port
        return await asyncpg.connect(self.dsn.replace(f":{port}/", f":{self.proxy.port}/"))

    async def kept(self) -> list[int]:
        direct = await asyncpg.connect(self.dsn)
        rows = await direct.fetch("SELECT number FROM kept ORDER BY number")
        await direct.close()
        return [row["number"] for row in rows]


@pytest.fixture
async def wire(database_dsn: str) -> AsyncIterator[Wire]:
    wire = Wire(database_dsn)
    await wire.proxy.start()
    connection = await wire.connect()
    await connection.execute("CREATE TABLE kept (number int)")
    await connection.close()
    yield wire
    await wire.proxy.stop()


async def work(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute(INSERT, 1)
        async with connection.transaction():
            await connection.execute(INSERT, 2)
        await connection.copy_records_to_table("kept", records=[(3,)])
    await connection.execute(INSERT, 4)


async def test_a_run_is_counted_statement_by_statement_and_nothing_is_changed(wire):
    connection = await wire.connect()
    wire.watch.arm()

    await work(connection)

    await connection.close()
    copy = 'COPY "kept" FROM STDIN (FORMAT binary)'
    inner = ["SAVEPOINT savepoint;", INSERT, "RELEASE SAVEPOINT savepoint;"]
    outer = ["BEGIN;", INSERT, *inner, copy, COPY_DATA_ENDS, "COMMIT;", INSERT]
    assert [each.statement for each in wire.watch.seen] == outer
    assert [each.number for each in wire.watch.seen if each.statement == INSERT] == [1, 2, 3]
    assert (await wire.kept(), wire.strikes) == ([1, 2, 3, 4], 0)


@pytest.mark.parametrize(
    ("point", "kept"),
    [
        (Point(INSERT, 2), []),
        (Point(COPY_DATA_ENDS, 1), []),
        (Point("COMMIT;", 1), []),
        (Point("COMMIT;", 1, AFTER), [1, 2, 3]),
        (Point(INSERT, 3), [1, 2, 3]),
        (Point(INSERT, 3, AFTER), [1, 2, 3, 4]),
    ],
    ids=str,
)
async def test_it_strikes_once_and_nothing_gets_through_afterwards(wire, point, kept):
    connection = await wire.connect()
    wire.watch.arm(point)

    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await work(connection)

    assert wire.watch.struck.is_set()
    assert (await wire.kept(), wire.strikes) == (kept, 1)


def test_between_two_statements_of_a_transaction_one_moment_is_enough():
    run = [Point(text, 1) for text in ("BEGIN;", "SELECT 1", "COMMIT;", "UPDATE kept")]

    few = list(moments_of(run, everything=False))

    after = [each.statement for each in few if each.moment == AFTER]
    assert after == ["COMMIT;", "UPDATE kept"]
    assert [each for each in few if each.moment != AFTER] == run
    assert len(list(moments_of(run, everything=True))) == 8


class Disturbed:
    """A victim, and a way to it, on a machine so busy that the last of all tries alone counts."""

    calls_out = False

    def __init__(self) -> None:
        self.victim: Any = self
        self.watch = self
        self.struck = asyncio.Event()
        self.struck.set()
        self.tries = 0

    async def prepare(self, number: int) -> list[int]:
        return [0] * number

    async def arm(self, _point: Point, *, claims: bool) -> Callable[[], bool]:
        del claims
        self.tries += 1
        return lambda: self.tries == TRIES_MAX

    async def begin(self, case: int) -> None: ...

    async def start_again(self) -> None: ...

    async def go_on(self, case: int) -> None: ...

    async def settled(self) -> None: ...

    async def judge(self, cases: list[int]) -> None: ...


async def test_what_was_disturbed_is_tried_again_though_all_spare_cases_are_used():
    used = await strike(Disturbed(), Point("COMMIT;", 1), [0])

    assert len(used) == TRIES_MAX


async def test_what_was_forked_runs_as_started_and_dies_with_its_parent(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(
        "import os, pathlib, sys, time\n"
        "assert __name__ == '__main__' and sys.argv[0]\n"
        "pathlib.Path(os.environ['SAYS']).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.pathsep.join(sys.path)}")
    async with warm_starts("toy", "json") as warm:
        names = [tmp_path / "first", tmp_path / "second"]
        pids = [await warm.start({**os.environ, "SAYS": str(name)}) for name in names]
        for name, pid in zip(names, pids, strict=True):
            await wait_until(lambda name=name: name.exists() and name.read_text() != "", "it runs")
            assert name.read_text() == str(pid)
        os.kill(pids[0], signal.SIGKILL)
        await wait_until(lambda: ended(pids[0]), "the killed one ends")
        assert not ended(pids[1])

    await wait_until(lambda: ended(pids[1]), "the other one ends")
