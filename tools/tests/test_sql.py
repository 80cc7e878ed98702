"""`vitrine sql` reads a service's tables by its own login and can change no row."""

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

from chassis.database import NOT_A_URL
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
    "UPDATE orders SET id = 3 RETURNING id",
    "INSERT INTO orders VALUES (3) RETURNING id",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT nextval('numbers')",
    "SELECT setval('numbers', 9)",
    "SELECT wiped()",
    "CALL wipe(NULL)",
)

REFUSED = r"read-only transaction|question|multiple commands|invalid transaction termination"
COMMANDS_TERMINAL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\u202e\nnext"
AS_PRINTED = r"\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u009b2J\u202e\nnext"


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
            "INSERT INTO billing.orders VALUES (1, '[b]first[/b]'), (2, NULL);"
            "CREATE SEQUENCE billing.numbers;"
            "CREATE FUNCTION billing.wiped() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$BEGIN DELETE FROM billing.orders; RETURN 1; END$$;"
            "CREATE PROCEDURE billing.wipe(OUT done int) LANGUAGE plpgsql AS"
            " $$BEGIN COMMIT; DELETE FROM billing.orders; done := 1; END$$"
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


async def test_sql_of_an_operator_changes_no_row(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)
    for statement in CHANGES:
        with pytest.raises(SqlError, match=REFUSED):
            await sql.run(argparse.Namespace(service="billing", question=statement))
        assert await count(shop) == 2, statement

    # The control: this login may, and no number was drawn.
    connection = await asyncpg.connect(shop, server_settings={"search_path": "billing"})
    assert await connection.fetchval("SELECT nextval('numbers')") == 1
    await connection.execute(CHANGES[1])
    await connection.close()
    assert await count(shop) == 0


async def test_nobody_hears_a_notification_of_a_question(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await asyncpg.connect(shop)
    other = await asyncpg.connect(shop)
    try:
        await listener.add_listener("bell", lambda *said: heard.put_nowait(said[-1]))
        asked = argparse.Namespace(service="billing", question="SELECT pg_notify('bell', 'asked')")
        await sql.run(asked)
        await other.execute("NOTIFY bell, 'control'")

        # They come in the order of their commits.
        assert await asyncio.wait_for(heard.get(), 10) == "control"
    finally:
        await listener.close()
        await other.close()


async def test_a_question_waits_for_no_lock_and_runs_no_longer_than_it_may(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)
    monkeypatch.setattr(sql, "LOCK_SECONDS_MAX", 0.2)
    holder = await asyncpg.connect(shop)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE billing.orders")
            with pytest.raises(SqlError, match="lock timeout"):
                await sql.run(argparse.Namespace(service="billing", question="TABLE orders"))
    finally:
        await holder.close()
    monkeypatch.setattr(sql, "STATEMENT_SECONDS_MAX", 0.2)
    with pytest.raises(SqlError, match="statement timeout"):
        await sql.run(argparse.Namespace(service="billing", question="SELECT pg_sleep(20)"))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("SELECT '290000-01-01'::timestamptz", "cannot be shown .*: cast it to text"),
        ("SELECT time '24:00'", "cannot be shown .*: cast it to text"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "terminating connection"),
    ],
)
async def test_what_goes_wrong_on_the_way_is_a_sentence_that_says_why(
    shop: str, monkeypatch: pytest.MonkeyPatch, question: str, said: str
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)

    with pytest.raises(SqlError, match=said):
        await sql.run(argparse.Namespace(service="billing", question=question))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("SELECT id FROM order", "syntax error at or near"),
        (
            "SELECT 1 FROM orders WHERE idd > 0",
            'column "idd" does not exist HINT:  Perhaps you meant',
        ),
        ('SELECT "two\nlines" FROM orders', r'column "two\nlines" does not exist'),
    ],
)
async def test_what_is_wrong_with_a_question_is_said_on_one_line(
    shop: str, tmp_path: Path, question: str, said: str
) -> None:
    code, out, error = await vitrine(
        tmp_path, "sql", "billing", question, BILLING_DATABASE_URL=shop
    )

    assert (code, out) == (1, "")
    assert said in error
    assert error.count("\n") == 1


async def test_of_very_many_rows_the_first_are_shown(
    shop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BILLING_DATABASE_URL", shop)
    question = "SELECT 'row ' || n FROM generate_series(1, 2000) AS n"
    await sql.run(argparse.Namespace(service="billing", question=question))

    out = capsys.readouterr().out
    assert out.count("row ") == sql.ROWS_MAX
    assert out.endswith(f"these are the first {sql.ROWS_MAX}; there are more\n")


async def test_stored_text_does_not_command_the_terminal(shop: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(shop)
    await connection.execute("UPDATE billing.orders SET note = $1", COMMANDS_TERMINAL)
    await connection.close()

    for question in (
        "SELECT note FROM orders",
        f'SELECT id AS "{COMMANDS_TERMINAL}" FROM orders',
        "SELECT CAST(replace(note, E'\\n', '\\n') AS int) FROM orders",  # the refusal quotes it
    ):
        _, out, error = await vitrine(
            tmp_path, "sql", "billing", question, BILLING_DATABASE_URL=shop
        )
        assert AS_PRINTED in out + error, question
        shown = (out + error).replace("\n", "")
        assert shown.isprintable(), question


async def test_no_database_is_a_sentence_without_the_password(
    unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://billing:hunter2@127.0.0.1:{unused_tcp_port}/vitrine"
    code, out, error = await vitrine(
        tmp_path, "sql", "billing", "SELECT 1", BILLING_DATABASE_URL=url
    )

    assert (code, out) == (1, "")
    assert error.startswith("no database answers billing's login: ")
    assert "Traceback" not in error
    assert "hunter2" not in error

    for wrong in (
        "postgresql://billing:hunter#2@127.0.0.1/x",
        "postgresql://billing:hunter/2@127.0.0.1/x",
        "postgresql://billing:hunter?2@127.0.0.1/x",
        "hunter://billing@127.0.0.1/x",
        "postgresql://billing@127.0.0.1/x?sslmode=hunter",
    ):
        monkeypatch.setenv("BILLING_DATABASE_URL", wrong)
        with pytest.raises(SqlError) as refused:
            await sql.run(argparse.Namespace(service="billing", question="SELECT 1"))
        assert str(refused.value) == f"BILLING_DATABASE_URL: {NOT_A_URL}"

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
