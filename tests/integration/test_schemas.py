"""Every schema goes up, down and up again, and equals the schema.sql beside its migrations."""

import asyncpg
import pytest

from chassis import migrations
from devstack.postgres import postgres_binaries
from vitrine_tools.schemas import SERVICES, committed, dump, folder


@pytest.mark.parametrize("service", SERVICES)
async def test_the_schema_is_the_committed_one(service: str, database_dsn: str) -> None:
    found = await dump(service, database_dsn, postgres_binaries() / "pg_dump")

    assert found == committed(service).read_text(), "run `make schemas` and look at the change"


@pytest.mark.parametrize("service", SERVICES)
async def test_up_down_up(service: str, database_dsn: str) -> None:
    async def to(target: int | None) -> list[str]:
        return await migrations.migrate(
            database_dsn, schema=service, folder=folder(service), target=target
        )

    up = await to(None)
    down = await to(0)
    connection = await asyncpg.connect(database_dsn)
    left = await connection.fetchval(
        "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename <> 'schema_version'",
        service,
    )
    await connection.close()
    again = await to(None)

    assert len(up) >= 2
    assert [line.removeprefix("down ") for line in down] == [
        line.removeprefix("up ") for line in reversed(up)
    ]
    assert left == 0
    assert again == up


@pytest.mark.parametrize("service", SERVICES)
async def test_pre_steps_need_no_post_step_before_them(service: str, database_dsn: str) -> None:
    """Where the post steps of some releases wait, the pre steps of later ones come before them."""
    steps = migrations.steps_of(folder(service))
    await migrations.migrate(database_dsn, schema=service, folder=folder(service), target=1)

    done = await migrations.migrate(
        database_dsn, schema=service, folder=folder(service), phase=migrations.PRE
    )

    waiting = {f"waits {step.key}" for step in steps if step.phase != migrations.PRE}
    assert waiting == {line for line in done if line.startswith("waits")}
    found = await dump(service, database_dsn, postgres_binaries() / "pg_dump")
    assert found == committed(service).read_text()


async def test_billing_migrates_down_and_up_with_seeded_money(database_dsn: str) -> None:
    """The service's own steps go down with rows in them; the runtime's tables keep theirs."""
    await migrations.migrate(database_dsn, schema="billing", folder=folder("billing"))
    connection = await asyncpg.connect(database_dsn, server_settings={"search_path": "billing"})
    await connection.execute(
        "INSERT INTO accounts (user_id, available, held, debt, in_flight, transfers, lots_opened, "
        "tier, tier_version, deep_link, opened_at) "
        "VALUES (1, 5, 0, 0, 0, 1, 1, 'none', 0, '', now())"
    )
    await connection.execute(
        "INSERT INTO lots (user_id, number, kind, granted, remaining, state) "
        "VALUES (1, 1, 'paid', 5, 5, 'open')"
    )
    await connection.execute(
        "INSERT INTO aggregate_versions (aggregate, version, seen_at) VALUES ('order:1', 1, now())"
    )

    await migrations.migrate(database_dsn, schema="billing", folder=folder("billing"), target=1)
    await migrations.migrate(database_dsn, schema="billing", folder=folder("billing"))

    assert await connection.fetchval("SELECT count(*) FROM accounts") == 0
    assert await connection.fetchval("SELECT count(*) FROM aggregate_versions") == 1
    await connection.close()
