"""A reply subject is not checked by nats-server: what it carries to money's door ends there.

Whoever may ask the server anything names the subject on which it answers, and the server publishes
there with its own rights. A message it reads out of a stream has the body somebody chose.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis import bootstrap, signing_keys
from chassis.background import Background
from chassis.broker import Broker
from chassis.clock import SystemClock, new_id
from chassis.consumers import ExactlyOnce, Route, Subscription
from chassis.database import Database
from chassis.outbox import Outbox, UnitOfWork
from chassis.signatures import OFF, Signatures
from chassis.testing import drain, signatures_of
from chassis.wire import publish_frame
from contracts import billing, generator
from contracts.envelope import HEADER_ID, Headers
from contracts.ids import MessageId
from contracts.producers import PARTIES
from devstack import nats_security
from devstack.nats_server import NatsServer
from devstack.testing import free_port

VICTIM = billing.GrantCredits.subject
SECONDS = timedelta(seconds=5)
CHUNK = "$O.media.C.stolen"
STREAMS = ("BILLING", "EVENTS", "DEAD", "OBJ_media")


class Platform:
    """A nats-server with the users and rights of production, and billing's consumer of commands."""

    def __init__(self, server: NatsServer, state: Path, database: Database) -> None:
        self.server, self.state, self.database = server, state, database
        self.fatal: list[str] = []

    async def connect(self, user: str, signatures: Signatures | None = None) -> Broker:
        return await Broker.connect(
            self.server.url,
            name=user,
            identity=nats_security.identity(self.state, user),
            on_fatal=self.fatal.append,
            signatures=signatures,
        )

    def keys(self, party: str) -> Signatures:
        signing_keys.ensure(self.state / "signing", PARTIES)
        return signatures_of(self.state / "signing", party)

    async def stored(self, stream: str) -> int:
        observer = await self.connect(nats_security.TESTS)
        state = (await observer.api(f"STREAM.INFO.{stream}"))["state"]
        await observer.close()
        return int(state["last_seq"])

    async def rows(self, query: str) -> list[Any]:
        async with self.database.read() as connection:
            return list(await connection.fetch(query))


@pytest.fixture
async def platform(tmp_path: Path, database: Database) -> AsyncIterator[Platform]:
    nats_security.prepare(tmp_path)
    server = NatsServer(
        tmp_path / "nats", free_port(), security=lambda: nats_security.prepare(tmp_path)
    )
    await server.start()
    found = Platform(server, tmp_path, database)
    try:
        applying = await found.connect("bootstrap")
        await bootstrap.apply(applying, only=STREAMS)
        await applying.close()
        yield found
    finally:
        await server.kill()


async def grant(command: billing.GrantCredits, uow: UnitOfWork) -> None:
    await uow.connection.execute("INSERT INTO done (key) VALUES ($1)", command.grant_key)


@pytest.fixture
async def consuming(platform: Platform) -> AsyncIterator[Callable[..., Any]]:
    """Start billing's consumer, with signatures or without."""
    background = Background()
    parts: list[Any] = []

    async def start(signatures: Signatures) -> None:
        broker = await platform.connect("billing", signatures)
        outbox = Outbox(platform.database, broker, SystemClock())
        await outbox.partitions.maintain()
        route = Route(message=billing.GrantCredits, handler=grant)
        subscription = Subscription(stream="BILLING", consumer="billing", routes=(route,))
        consumer = ExactlyOnce("billing", outbox, subscription)
        background.spawn(consumer.run(), name="consumer")
        background.spawn(outbox.run_publisher(), name="publisher")
        parts.extend((consumer, outbox, broker))

    yield start
    if parts:
        consumer, outbox, broker = parts
        await consumer.stop()
        outbox.stop()
        await background.stop(SECONDS)
        await broker.close()


async def steal(platform: Platform) -> None:
    """A generator that was taken over, keys and all, tries every way to give itself credits."""
    attacker = await platform.connect("generator", platform.keys("generator"))
    command = billing.GrantCredits(
        grant_key="stolen", user_id=1, credits=1_000, reason="t", actor="t"
    ).encode()
    headers = Headers(id=MessageId(new_id()), sent_at=SystemClock().now()).to_wire()
    platform.keys("generator").sign(VICTIM, command, headers)
    # Media is its own to write; whatever a chunk holds, the server reads it out on request.
    await attacker.publish(CHUNK, command, headers)
    before = await platform.stored("BILLING")
    request = msgspec.json.encode({"last_by_subj": CHUNK})
    read_out = publish_frame("$JS.API.DIRECT.GET.OBJ_media", request, reply=VICTIM)
    # And every publish is acknowledged, wherever one wants.
    event = {HEADER_ID: str(new_id())}
    acknowledged = publish_frame(generator.JobStarted.subject, b"", event, reply=VICTIM)
    await attacker.nc.send([read_out, acknowledged])

    async def arrived() -> bool:
        return await platform.stored("BILLING") == before + 2

    await drain(arrived, what="both ways really lead into billing's stream")
    assert platform.fatal == []
    await attacker.close()


async def test_the_reply_subject_of_another_service_gives_no_credits(
    platform: Platform, consuming: Callable[..., Any]
) -> None:
    await consuming(platform.keys("billing"))

    await steal(platform)

    async def parked() -> bool:
        return len(await platform.rows("SELECT FROM parked")) == 2

    await drain(parked, what="both are parked")
    rows = await platform.rows("SELECT subject, reason FROM parked")
    assert {row["subject"] for row in rows} == {VICTIM}
    assert sorted(row["reason"] for row in rows) == ["unsigned", "wrong_producer"]
    assert await platform.rows("SELECT FROM done") == []


async def test_without_signatures_the_trick_works(
    platform: Platform, consuming: Callable[..., Any]
) -> None:
    """Or the test above would prove nothing."""
    await consuming(OFF)

    await steal(platform)

    async def robbed() -> bool:
        rows = await platform.rows("SELECT key FROM done")
        return [row["key"] for row in rows] == ["stolen"]

    await drain(robbed, what="the forged command is obeyed")


async def test_the_same_said_openly_is_refused_by_the_server(platform: Platform) -> None:
    attacker = await platform.connect("generator", platform.keys("generator"))

    await attacker.nc.send([publish_frame(VICTIM, b"", {HEADER_ID: str(new_id())})])
    await drain(lambda: platform.fatal, what="the permission is missing")

    assert VICTIM in platform.fatal[0]
    assert await platform.stored("BILLING") == 0
    await attacker.close()
