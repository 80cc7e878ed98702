"""The operator's command line, against a real service that parked something and silent others."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from chassis import bootstrap
from chassis.broker import Broker
from chassis.clock import new_id
from chassis.migrations import migrate
from contracts.envelope import Headers
from contracts.ids import MessageId, OrderId, UserId
from contracts.vpn import GrantAccess
from devstack.testing import (
    DatabaseServer,
    MessageServer,
    fresh_database,
    running_service,
    wipe_jetstream,
)
from vpn.main import MIGRATIONS, SCHEMA

pytestmark = pytest.mark.asyncio(loop_scope="module")
SILENT = {"gateway", "billing", "scheduler"}
GRANT = GrantAccess(
    order_id=OrderId(new_id()), user_id=UserId(7), plan="month", until=datetime.now(UTC)
).encode()


class Shop:
    """A vpn service with parked messages, and an operator who asks about them."""

    def __init__(self, dsn: str, nats_url: str) -> None:
        self.dsn = dsn
        self.nats_url = nats_url

    async def park(self, body: bytes = GRANT, count: int = 1) -> UUID:
        """Park messages under new ids; returns the last."""
        connection = await asyncpg.connect(self.dsn, server_settings={"search_path": SCHEMA})
        try:
            for _ in range(count):
                parked_id = new_id()
                await connection.execute(
                    "INSERT INTO parked (id, stream, consumer, subject, headers, body, reason, "
                    "traceparent, parked_at, state) "
                    "VALUES ($1, 'VPN', 'vpn', $2, $3, $4, 'bug', '', $5, 'parked')",
                    parked_id,
                    GrantAccess.subject,
                    json.dumps(Headers(id=MessageId(parked_id)).to_wire()),
                    body,
                    datetime.now(UTC),
                )
        finally:
            await connection.close()
        return parked_id

    async def empty(self) -> None:
        connection = await asyncpg.connect(self.dsn, server_settings={"search_path": SCHEMA})
        try:
            await connection.execute("DELETE FROM parked")
        finally:
            await connection.close()

    async def vitrine(self, *arguments: str) -> tuple[int, str, str]:
        return await vitrine(self.nats_url, *arguments)


async def vitrine(nats_url: str, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, and what was written to standard output and error."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("vitrine")),
        *arguments,
        env={**os.environ, "VITRINE_NATS_URL": nats_url, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_shop(
    postgres_server: DatabaseServer, nats_server: MessageServer
) -> AsyncIterator[Shop]:
    """One service for the whole file."""
    await wipe_jetstream(nats_server)
    broker = await Broker.connect(nats_server.url, name="test", on_fatal=lambda _: None)
    await bootstrap.apply(broker)
    await broker.close()
    async with fresh_database(postgres_server) as dsn:
        await migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
        settings = {"database_url": dsn, "nats_url": nats_server.url}
        async with running_service("vpn", settings):
            yield Shop(dsn, nats_server.url)


@pytest_asyncio.fixture(loop_scope="module")
async def shop(running_shop: Shop) -> Shop:
    """The shop with nothing parked."""
    await running_shop.empty()
    return running_shop


async def test_the_list_tells_what_answers_and_names_what_does_not(shop: Shop) -> None:
    parked_id = await shop.park()

    code, out, error = await shop.vitrine("dead", "list")

    assert code == 1
    assert str(parked_id) in out
    assert {line.split(" did not answer")[0] for line in error.splitlines()} == SILENT


async def test_a_list_of_those_who_answer_is_a_success(shop: Shop) -> None:
    code, out, error = await shop.vitrine("dead", "list", "vpn")

    assert (code, out, error) == (0, "nothing is parked\n", "")


async def test_a_list_that_is_cut_short_says_so(shop: Shop) -> None:
    await shop.park(count=101)

    _, few, _ = await shop.vitrine("dead", "list", "vpn", "--limit", "2")
    _, most, _ = await shop.vitrine("dead", "list", "vpn", "--limit", "99")
    code, _, error = await shop.vitrine("dead", "list", "vpn", "--limit", "100")

    assert few.count(GrantAccess.subject) == 2
    assert "vpn: more than 2, these are the newest; use --limit" in few
    assert most.count(GrantAccess.subject) == 99
    assert "vpn: more than 99, these are the newest; handle these first" in most
    assert code == 2
    assert "not between 1 and 99" in error


async def test_a_message_is_shown_decoded(shop: Shop) -> None:
    parked_id = await shop.park()

    code, out, _ = await shop.vitrine("dead", "show", "vpn", str(parked_id))

    assert code == 0
    assert json.loads(out)["body"]["plan"] == "month"


async def test_redrive_tells_how_it_ended(shop: Shop) -> None:
    good, poison, stranger = await shop.park(), await shop.park(b"\xc1"), new_id()

    handled = await shop.vitrine("dead", "redrive", "vpn", str(good))
    again = await shop.vitrine("dead", "redrive", "vpn", str(good))
    parked = await shop.vitrine("dead", "redrive", "vpn", str(poison))
    unknown = await shop.vitrine("dead", "redrive", "vpn", str(stranger))

    assert handled == (0, "handled again\n", "")
    assert again == (0, "it was handled before: nothing was done\n", "")
    assert parked[:2] == (1, "")
    assert "it is parked again: " in parked[2]
    assert unknown == (1, "", f"vpn has no parked message {stranger}\n")


async def test_a_service_that_is_silent_is_named(nats_server: MessageServer) -> None:
    for action in ("show", "redrive"):
        code, out, error = await vitrine(nats_server.url, "dead", action, "billing", str(new_id()))

        assert (code, out) == (1, "")
        assert error.startswith("billing did not answer: ")


async def test_a_server_that_is_not_there_is_not_waited_for(free_port: int) -> None:
    code, out, error = await vitrine(f"nats://127.0.0.1:{free_port}", "dead", "list")

    assert (code, out) == (1, "")
    assert "no nats-server answers" in error
