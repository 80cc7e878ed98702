"""A migration before Postgres is up: it waits and says so, and ends with a sentence."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis import migrations
from chassis.testing import drain
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from devstack.testing import UNSAFE_BUT_FAST, free_port, scratch_folder

PROGRAM = """
import sys
from pathlib import Path
from chassis import migrations
from chassis.service import migrate_main
from chassis.settings import DatabaseSettings

migrations.PATIENCE_SECONDS = float(sys.argv[2])
migrate_main(DatabaseSettings, schema="toy", folder=Path(sys.argv[1]))
"""
STOP_SECONDS = 10


class Migration:
    """`migrate` as a process of its own, as the Job runs it."""

    def __init__(self, folder: Path, dsn: str, patience_seconds: float) -> None:
        self.lines: list[str] = []
        self.process = ChildProcess(
            "migrate",
            (sys.executable, "-c", PROGRAM, str(folder), str(patience_seconds)),
            environment={
                "DATABASE_URL": dsn.replace("://postgres", "://toy"),
                "MIGRATION_DATABASE_URL": dsn,
            },
            output=self.lines.append,
        )

    async def ended(self) -> int:
        """Its code, once its last words are read."""
        async with asyncio.timeout(60):
            return await self.process.wait()


@pytest.fixture
async def postgres() -> AsyncIterator[Postgres]:
    """One that is not started yet."""
    with scratch_folder() as folder:
        postgres = Postgres(folder / "postgres", free_port(), UNSAFE_BUT_FAST)
        yield postgres
        await postgres.kill()
        postgres.erase()


async def test_a_migration_waits_for_postgres_and_says_so_once(
    postgres: Postgres, toy_migrations: Path
) -> None:
    running = Migration(toy_migrations, postgres.dsn(), patience_seconds=60)
    running.process.start()
    try:
        await drain(lambda: running.lines, what="it says what it waits for")
        await postgres.start()
        code = await running.ended()
    finally:
        await running.process.terminate(STOP_SECONDS)

    waiting = [line for line in running.lines if "waiting" in line]
    assert code == 0, running.lines
    assert running.lines[-1] == "toy: up service/0001_pre_toy"
    assert running.lines[0].startswith(f"toy: waiting for Postgres at 127.0.0.1:{postgres.port}: ")
    # Refused, and perhaps starting up: one line for each reason.
    assert len(waiting) == len(set(waiting)) <= 3
    assert not [line for line in running.lines if "Traceback" in line]


async def test_a_migration_that_waited_in_vain_ends_with_one_sentence(
    postgres: Postgres, toy_migrations: Path
) -> None:
    running = Migration(toy_migrations, postgres.dsn(), patience_seconds=2)
    running.process.start()
    code = await running.ended()

    assert code == 1
    waiting, sentence = running.lines
    assert waiting.startswith("toy: waiting for Postgres at ")
    assert sentence.startswith(
        f"toy: nothing was migrated: Postgres at 127.0.0.1:{postgres.port} "
        "could not be used for 2 s: "
    )


async def test_a_migration_whose_job_is_at_its_end_says_what_it_waited_for(
    postgres: Postgres, toy_migrations: Path
) -> None:
    running = Migration(toy_migrations, postgres.dsn(), patience_seconds=600)
    running.process.start()
    await drain(lambda: running.lines, what="it says what it waits for")

    await running.process.terminate(STOP_SECONDS)

    assert running.process.returncode == 1
    assert len(running.lines) == 2
    assert running.lines[-1].startswith("toy: nothing was migrated: Postgres at 127.0.0.1:")


async def test_what_is_no_address_ends_at_once_and_quotes_no_password(
    toy_migrations: Path,
) -> None:
    for dsn in ("postgresql://toy:hunter#2@127.0.0.1/x", "hunter://toy@127.0.0.1/x"):
        with pytest.raises(SystemExit, match="toy: not a Postgres URL") as ended:
            await migrations.migrate(dsn, schema="toy", folder=toy_migrations)
        assert "hunter" not in str(ended.value)


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("postgresql://toy:secret@db.example:5432/x", "Postgres at db.example:5432"),
        ("postgresql://toy:a@b@db.example/x", "Postgres at db.example"),
        ("postgresql:///x?host=/run", "Postgres"),
        # What stands before these characters would be taken for the server.
        ("postgresql://toy:p@secret#2@db.example/x", "Postgres"),
        ("postgresql://toy:p@secret/2@db.example/x", "Postgres"),
        ("postgresql://toy:p@secret?2@db.example/x", "Postgres"),
        ("postgresql://[secret", "Postgres"),
    ],
)
def test_the_server_is_named_and_never_a_piece_of_a_password(dsn: str, said: str) -> None:
    assert migrations._address(dsn) == said
