"""A person in front of the bot, over a real Postgres."""

import sys
from pathlib import Path

import pytest

from devstack.testing import create_database, drop_database, run_blocking
from gateway.adapters import light_aiogram


def build_models_when_used() -> None:
    """Import aiogram as the service does, but let pydantic build any other model on first use.

    Building all of them takes each test process four seconds. What pydantic looks for at that use
    is what a model's module would have imported, had its imports not been for type checkers only.
    """
    light_aiogram.load()
    import aiogram.types

    names = {name: getattr(aiogram.types, name) for name in aiogram.types.__all__}
    for name, module in list(sys.modules.items()):
        if name.startswith(("aiogram.types.", "aiogram.methods.")):
            module.__dict__.update(names | module.__dict__)


build_models_when_used()

from gateway.testing import migrated, opened_chat  # noqa: E402 - it imports aiogram

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
