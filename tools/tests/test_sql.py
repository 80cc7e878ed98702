"""`vitrine sql` reads a service's tables by its own login and can change nothing."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from devstack.testing import DatabaseServer, fresh_database
from vitrine_tools import sql
from vitrine_tools.sql import SqlError

CHANGES = (
    "DELETE FROM orders",
    "WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone",
    "SELECT 1; DELETE FROM orders",
    "COMMIT; DELETE FROM orders",
    "SET TRANSACTION READ WRITE",
    "DROP TABLE orders",
    "COPY orders TO PROGRAM 'cat'",
)


async def vitrine(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Return the exit code, and what was written to standard output and error."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("vitrine")),
        *arguments,
        cwd=folder,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@pytest_asyncio.fixture
async def shop(postgres_server: DatabaseServer) -> AsyncIterator[str]:
    """Two orders in billing's schema."""
    async with fresh_database(postgres_server) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(
            "CREATE SCHEMA billing; CREATE TABLE billing.orders (id int, note text);"
            "INSERT INTO billing.orders VALUES (1, '[b]first[/b]'), (2, NULL)"
        )
        await connection.close()
        yield dsn


async def count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM billing.orders"))
    finally:
        await connection.close()


async def test_a_question_is_answered_with_columns_and_rows(shop: str, tmp_path: Path) -> None:
    for table in ("orders", "billing.orders"):
        question = f"SELECT id, note AS remark FROM {table} ORDER BY id"
        code, out, error = await vitrine(
            tmp_path, "sql", "billing", question, BILLING_DATABASE_URL=shop
        )
        assert (code, error) == (0, "")
        assert "remark" in out
        assert "[b]first[/b]" in out
        assert "None" not in out

    question = "SELECT id FROM orders WHERE id > 2"
    code, out, _ = await vitrine(tmp_path, "sql", "billing", question, BILLING_DATABASE_URL=shop)
    assert (code, out) == (0, "no rows\n")


async def test_sql_of_an_operator_changes_nothing(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)
    for statement in CHANGES:
        with pytest.raises(SqlError, match=r"read-only transaction|question|multiple commands"):
            await sql.run(argparse.Namespace(service="billing", question=statement))
        assert await count(shop) == 2, statement

    # The control: this login may.
    connection = await asyncpg.connect(shop, server_settings={"search_path": "billing"})
    await connection.execute(CHANGES[1])
    await connection.close()
    assert await count(shop) == 0


async def test_no_database_is_a_sentence_without_the_password(
    unused_tcp_port: int, tmp_path: Path
) -> None:
    url = f"postgresql://billing:hunter2@127.0.0.1:{unused_tcp_port}/vitrine"
    code, out, error = await vitrine(
        tmp_path, "sql", "billing", "SELECT 1", BILLING_DATABASE_URL=url
    )

    assert (code, out) == (1, "")
    assert error.startswith("no database answers billing's login: ")
    assert "Traceback" not in error
    assert "hunter2" not in error

    _, _, error = await vitrine(tmp_path, "sql", "billing", "SELECT 1", BILLING_DATABASE_URL="")
    assert error == "no platform found: set BILLING_DATABASE_URL, or run `make up` here\n"


async def test_a_platform_started_here_needs_no_settings(shop: str, tmp_path: Path) -> None:
    state = tmp_path / ".vitrine"
    state.mkdir()
    urls = {"nats": "tls://127.0.0.1:4222", "nats_tls_dir": "a b", "database": shop}
    (state / "urls.json").write_bytes(msgspec.json.encode(urls))

    code, out, _ = await vitrine(tmp_path, "sql", "billing", "SELECT count(*) FROM orders")
    assert code == 0
    assert "2" in out
    code, out, _ = await vitrine(tmp_path, "env")
    assert code == 0
    lines = out.splitlines()
    assert f"export VPN_NATS_TLS_DIR='{tmp_path}/a b'" in lines
    assert "export BILLING_NATS_URL=tls://127.0.0.1:4222" in lines
    assert any(line.startswith("export SCHEDULER_DATABASE_URL=") for line in lines)
    assert not any("SEED" in line or "SIGNING" in line for line in lines)
