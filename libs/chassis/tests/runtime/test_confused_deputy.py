"""A reply subject is not checked by nats-server: what it carries to money's door ends there.

Whoever may ask the server anything names the subject on which it answers, and the server publishes
there with its own rights. A message it reads out of a stream has the body somebody chose. Within
one account signatures stop it; with an account for each service the subject means nothing there.
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
from chassis.key_value import KeyValue
from chassis.outbox import Outbox, UnitOfWork
from chassis.signatures import OFF, Signatures
from chassis.testing import drain, signatures_of
from chassis.wire import publish_frame
from contracts import billing, generator
from contracts.accounts import SEPARATE, SHARED
from contracts.envelope import HEADER_ID, Headers
from contracts.ids import MessageId
from contracts.producers import PARTIES
from devstack import nats_security
from devstack.nats_server import NatsServer
from devstack.testing import free_port

VICTIM = billing.GrantCredits.subject
SECONDS = timedelta(seconds=5)
CHUNK = "$O.media.C.stolen"
READ_OUT = "$JS.API.DIRECT.GET.OBJ_media"
LAST_CHUNK = msgspec.json.encode({"last_by_subj": CHUNK})
STREAMS = ("BILLING", "EVENTS", "DEAD", "OBJ_media", "KV_buckets", "KV_leases")


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

    async def stored(self, stream: str, number: str = "last_seq") -> int:
        observer = await self.connect(nats_security.TESTS)
        state = (await observer.api(f"STREAM.INFO.{stream}"))["state"]
        await observer.close()
        return int(state[number])

    async def has(self, stream: str, messages: int) -> bool:
        return await self.stored(stream) == messages

    async def rows(self, query: str) -> list[Any]:
        async with self.database.read() as connection:
            return list(await connection.fetch(query))


@pytest.fixture
def accounts() -> str:
    return SHARED


@pytest.fixture
async def platform(tmp_path: Path, database: Database, accounts: str) -> AsyncIterator[Platform]:
    nats_security.prepare(tmp_path)
    server = NatsServer(
        tmp_path / "nats", free_port(), security=lambda: nats_security.prepare(tmp_path, accounts)
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


async def steal(platform: Platform) -> Broker:
    """A generator that was taken over, keys and all, tries every way to give itself credits."""
    attacker = await platform.connect("generator", platform.keys("generator"))
    command = billing.GrantCredits(
        grant_key="stolen", user_id=1, credits=1_000, reason="t", actor="t"
    ).encode()
    headers = Headers(id=MessageId(new_id()), sent_at=SystemClock().now()).to_wire()
    platform.keys("generator").sign(VICTIM, command, headers)
    # Media is its own to write; whatever a chunk holds, the server reads it out on request.
    await attacker.publish(CHUNK, command, headers)
    # And every publish is acknowledged, wherever one wants.
    event = {HEADER_ID: str(new_id())}
    acknowledged = publish_frame(generator.JobStarted.subject, b"", event, reply=VICTIM)
    await attacker.nc.send([publish_frame(READ_OUT, LAST_CHUNK, reply=VICTIM), acknowledged])
    return attacker


async def steal_and_succeed(platform: Platform) -> None:
    before = await platform.stored("BILLING")
    attacker = await steal(platform)

    async def arrived() -> bool:
        return await platform.stored("BILLING") == before + 2

    await drain(arrived, what="both ways really lead into billing's stream")
    assert platform.fatal == []
    await attacker.close()


async def test_the_reply_subject_of_another_service_gives_no_credits(
    platform: Platform, consuming: Callable[..., Any]
) -> None:
    await consuming(platform.keys("billing"))

    await steal_and_succeed(platform)

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

    await steal_and_succeed(platform)

    async def robbed() -> bool:
        rows = await platform.rows("SELECT key FROM done")
        return [row["key"] for row in rows] == ["stolen"]

    await drain(robbed, what="the forged command is obeyed")


@pytest.mark.parametrize("accounts", [SEPARATE])
async def test_in_an_account_of_its_own_it_reaches_nobody_even_without_signatures(
    platform: Platform, consuming: Callable[..., Any]
) -> None:
    """The one before is the control: the same, in the account of the streams."""
    await consuming(OFF)

    attacker = await steal(platform)

    # The server did all it was asked: what was read out, and the event, came to where one looks.
    answer = await attacker.nc.ask(READ_OUT, LAST_CHUNK, timeout=5)
    assert b"stolen" in answer.body
    await drain(lambda: platform.has("EVENTS", 1), what="the event is stored")
    # What is sent rightly comes next in the stream that was aimed at, and nothing before it.
    operator = await platform.connect("operator", platform.keys("operator"))
    await operator.publish(VICTIM, b"", {HEADER_ID: str(new_id())})
    assert await platform.stored("BILLING") == 1
    assert await platform.rows("SELECT FROM done") == []
    assert platform.fatal == []
    await attacker.close()
    await operator.close()


@pytest.mark.parametrize("accounts", [SHARED, SEPARATE])
async def test_nobody_ends_another_s_message_by_naming_its_ack_subject(
    platform: Platform,
) -> None:
    """It is the one reply subject that means the same on both sides of an import."""
    gateway = await platform.connect("gateway", platform.keys("gateway"))
    await gateway.publish(billing.OpenAccount.subject, b"x", {HEADER_ID: str(new_id())})
    shop = await platform.connect("billing", platform.keys("billing"))
    pull = shop.consume("BILLING", "billing")
    (taken,) = await pull.next()
    attacker = await platform.connect("generator", platform.keys("generator"))

    await attacker.publish(CHUNK, b"+TERM", {HEADER_ID: str(new_id())})
    for reply in (taken.ack_subject, "_R_.x"):
        platform.fatal.clear()
        await attacker.nc.send([publish_frame(READ_OUT, LAST_CHUNK, reply=reply)])
        await drain(lambda: platform.fatal, what="the reply subject is refused")

    assert await platform.stored("BILLING", "messages") == 1
    await taken.ack_sync()
    assert await platform.stored("BILLING", "messages") == 0
    await pull.stop()
    for each in (attacker, gateway, shop):
        await each.close()


@pytest.mark.parametrize("accounts", [SHARED, SEPARATE])
async def test_who_may_watch_a_bucket_watches_it_into_no_stream(platform: Platform) -> None:
    """Where a watch delivers to is named in a body, so by no right: the server wants a listener."""
    gateway = await platform.connect("gateway", platform.keys("gateway"))
    await gateway.publish("$KV.buckets.send.1", b"x", {HEADER_ID: str(new_id())})
    heard: list[str] = []
    inbox = gateway.nc.new_inbox()
    await gateway.nc.listen(inbox, lambda frame: heard.append(frame.subject))

    for name, place in enumerate((VICTIM, generator.JobStarted.subject, inbox)):
        config = {
            "name": f"w{name}",
            "deliver_subject": place,
            "ack_policy": "none",
            "mem_storage": True,
            "inactive_threshold": 30 * 10**9,
        }
        request = {"stream_name": "KV_buckets", "config": config, "action": "create"}
        await gateway.api(f"CONSUMER.CREATE.KV_buckets.w{name}", request)
    await drain(lambda: bool(heard), what="the watch that has a listener delivers")

    assert await platform.stored("BILLING") == 0
    assert await platform.stored("EVENTS") == 0
    await gateway.close()


@pytest.mark.parametrize("accounts", [SHARED, SEPARATE])
async def test_an_answer_goes_on_through_no_import_of_who_asked(
    platform: Platform, accounts: str
) -> None:
    """A generator's account imports all leases: its right excepts others', no import can."""
    attacker = await platform.connect("generator", platform.keys("generator"))
    lease = "$KV.leases.gateway.replica.x"

    acknowledged = publish_frame(
        generator.JobStarted.subject, b"", {HEADER_ID: str(new_id())}, reply=lease
    )
    await attacker.nc.send([acknowledged])
    await drain(lambda: platform.has("EVENTS", 1), what="the event is stored")
    await KeyValue(attacker, "leases").put("generator/x", b"its own")

    stolen = await platform.stored("KV_leases") - 1
    assert stolen == (1 if accounts == SHARED else 0)
    assert platform.fatal == []
    await attacker.close()


async def test_the_same_said_openly_is_refused_by_the_server(platform: Platform) -> None:
    attacker = await platform.connect("generator", platform.keys("generator"))

    await attacker.nc.send([publish_frame(VICTIM, b"", {HEADER_ID: str(new_id())})])
    await drain(lambda: platform.fatal, what="the permission is missing")

    assert VICTIM in platform.fatal[0]
    assert await platform.stored("BILLING") == 0
    await attacker.close()
