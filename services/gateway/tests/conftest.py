"""A person in front of the bot, over a real Postgres."""

from pathlib import Path

import pytest

from devstack.testing import create_database, drop_database, run_blocking
from gateway.testing import migrated, opened_chat

CATALOGUE = Path(__file__).parents[3] / "catalogue"


@pytest.fixture(scope="session")
def gateway_dsn(postgres_server):
    """One migrated database for all; each test has a person of its own."""
    dsn = run_blocking(create_database(postgres_server))
    run_blocking(migrated(dsn))
    yield dsn
    run_blocking(drop_database(postgres_server, dsn))


@pytest.fixture
async def chat(gateway_dsn):
    async with opened_chat(gateway_dsn, CATALOGUE) as opened:
        yield opened
