import asyncpg
import pytest

from billing.adapters.queries import SQL, read
from billing.main import MIGRATIONS, SCHEMA
from chassis.migrations import migrate, steps_of

RUNTIME_STEPS = len([step for step in steps_of(MIGRATIONS) if step.key.startswith("runtime/")])


async def relations(dsn):
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace", SCHEMA
        )
    finally:
        await connection.close()
    return {row["relname"] for row in rows}


async def test_migrations_go_up_down_and_up_again_with_rows_in_the_tables(database_dsn):
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)
    first = await relations(database_dsn)
    connection = await asyncpg.connect(database_dsn, server_settings={"search_path": SCHEMA})
    await connection.execute(
        "INSERT INTO accounts VALUES (1, 20, 0, 0, 0, 1, 1, 'none', NULL, 0, NULL, '', now());"
        "INSERT INTO lots VALUES (1, 1, 'trial', 20, 20, NULL, 'open');"
        "INSERT INTO transfers VALUES "
        "(1, 1, 1, 20, 'house:gifts', 'available', 'trial', NULL, '', now())"
    )
    await connection.close()

    down = await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS, target=RUNTIME_STEPS)
    without = await relations(database_dsn)
    await migrate(database_dsn, schema=SCHEMA, folder=MIGRATIONS)

    names = [path.name.removesuffix(".up.sql") for path in MIGRATIONS.glob("*.up.sql")]
    assert down == [f"down service/{name}" for name in sorted(names, reverse=True)]
    assert not {"accounts", "lots", "transfers", "orders", "holds", "payments", "draws"} & without
    assert await relations(database_dsn) == first


@pytest.mark.parametrize("name", SQL)
async def test_every_query_is_accepted_by_the_schema(database, name):
    async with database.read() as connection:
        await connection.prepare(SQL[name])


def test_a_query_needs_a_sentence_and_a_name_of_its_own(tmp_path):
    file = tmp_path / "queries.sql"
    file.write_text("-- name: one\nSELECT 1\n")
    with pytest.raises(ValueError, match="no sentence"):
        read(file)
    file.write_text("-- name: one\n-- A.\nSELECT 1\n-- name: one\n-- B.\nSELECT 2\n")
    with pytest.raises(ValueError, match="twice"):
        read(file)
