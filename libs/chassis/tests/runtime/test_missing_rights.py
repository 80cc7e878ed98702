"""A right that is missing is an operator's affair: no message is parked for it."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chassis import consumers, migrations
from chassis import database as postgres
from chassis.broker import Broker
from chassis.consumers import ExactlyOnce, Route
from chassis.database import Database, RightMissingError
from chassis.errors import TransientError
from chassis.outbox import UnitOfWork
from chassis.testing import drain, wire
from contracts import billing

ROLE = "rightless"
REMOVE = "DELETE FROM done"


@pytest.fixture
async def database(database_dsn: str, toy_migrations: Path) -> AsyncIterator[Database]:
    """As a service's own role has it, which may write `done` but remove nothing."""
    parts = urlsplit(database_dsn)
    dsn = urlunsplit(parts._replace(netloc=f"{ROLE}:secret@{parts.hostname}:{parts.port}"))
    (toy_migrations / "rights.toml").write_text('done = "INSERT"')
    await migrations.provision(database_dsn, role_dsn=dsn, schema="toy")
    await migrations.migrate(database_dsn, schema="toy", folder=toy_migrations, role=ROLE)
    database = await Database.connect(dsn, schema="toy")
    yield database
    await database.close()


async def test_what_a_role_may_not_do_is_to_be_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(postgres, "rights_missing_count", SimpleNamespace(add=told.append))
    with pytest.raises(RightMissingError, match="permission denied for table done") as caught:
        async with database.read() as connection:
            await connection.execute(REMOVE)

    assert isinstance(caught.value, TransientError)
    assert told == [1], "the alert RightMissing is of this"


async def test_a_paid_order_waits_for_the_right_and_is_not_parked(
    broker: Broker,
    database: Database,
    consume: Callable[..., ExactlyOnce],
    monkeypatch: pytest.MonkeyPatch,
    database_dsn: str,
) -> None:
    monkeypatch.setattr(consumers, "NAK_MAX", timedelta(milliseconds=50))
    starts: list[str] = []

    async def remove(_: billing.GrantCredits, uow: UnitOfWork) -> None:
        starts.append("remove")
        await uow.connection.execute(REMOVE)

    async def record(command: billing.SetTier, uow: UnitOfWork) -> None:
        await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.tier)

    async def count(query: str) -> int:
        async with database.read() as connection:
            found: int = await connection.fetchval(query)
            return found

    grant = billing.GrantCredits(grant_key="k", user_id=1, credits=1, reason="t", actor="t")
    tier = billing.SetTier(user_id=1, tier="gold", reason="t", actor="t")
    await broker.publish(grant.subject, grant.encode(), wire())
    await broker.publish(tier.subject, tier.encode(), wire())
    consume(
        Route(message=billing.GrantCredits, handler=remove),
        Route(message=billing.SetTier, handler=record),
        starts_max=1,
    )

    await drain(lambda: len(starts) > 8, what="many starts")
    assert await count("SELECT count(*) FROM done") == 1, "who came along is not held up"
    assert await count("SELECT count(*) FROM parked") == 0
    admin = await asyncpg.connect(database_dsn)
    await admin.execute(f"GRANT DELETE ON toy.done TO {ROLE}")
    await admin.close()

    async def handled() -> bool:
        info = await broker.api("STREAM.INFO.BILLING")
        return not info["state"]["messages"]

    await drain(handled, what="the order")
    assert await count("SELECT count(*) FROM parked") == 0
    assert await count("SELECT count(*) FROM inbox") == 2
