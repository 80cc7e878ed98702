"""The service's role is made with a password that no statement carries."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from chassis import migrations, scram
from devstack.postgres import Postgres
from devstack.testing import UNSAFE_BUT_FAST, free_port, scratch_folder

PASSWORD = "p'w $1 \N{KELVIN SIGN}\N{SOFT HYPHEN}"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Postgres, list[str]]]:
    """A Postgres that asks for passwords and logs every statement."""
    said: list[str] = []
    with scratch_folder() as folder:
        settings = {**UNSAFE_BUT_FAST, "log_statement": "all"}
        server = Postgres(
            folder / "postgres", free_port(), settings, password="root", output=said.append
        )
        await server.start()
        yield server, said
        await server.kill()
        server.erase()


async def test_the_role_logs_in_and_its_password_is_in_no_statement(
    server: tuple[Postgres, list[str]],
) -> None:
    postgres, said = server
    admin = postgres.dsn()
    role_dsn = postgres.dsn("toy_role", "postgres", PASSWORD)

    for _ in range(2):  # made, then changed
        await migrations.provision(admin, role_dsn=role_dsn, schema="toy")
        connection = await asyncpg.connect(role_dsn)
        assert await connection.fetchval("SELECT current_user") == "toy_role"
        await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.dsn("toy_role", "postgres", "p"))

    log = "\n".join(said)
    assert "ROLE toy_role LOGIN PASSWORD 'SCRAM-SHA-256$4096:" in log
    assert "p'w" not in log
    assert "p''w" not in log


@pytest.mark.parametrize(
    "password", ["plain", "x" * 200, "\N{KELVIN SIGN}\N{SOFT HYPHEN}a", "\a", "\u05d0a"]
)
async def test_a_verifier_is_what_postgres_itself_would_store(
    database_dsn: str, password: str
) -> None:
    connection = await asyncpg.connect(database_dsn)
    secret = await connection.fetchval("SELECT quote_literal($1::text)", password)
    async with connection.transaction():
        await connection.execute(f"CREATE ROLE scram_check PASSWORD {secret}")
        stored = await connection.fetchval(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_check'"
        )
        salt = await connection.fetchval(
            "SELECT decode(split_part(split_part($1, ':', 2), '$', 1), 'base64')", stored
        )
        await connection.execute("DROP ROLE scram_check")
    await connection.close()

    assert scram.verifier(password, salt=salt) == stored
