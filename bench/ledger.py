"""The ledger under a mixed load beside pgbench, on one hot account, and how long one takes.

Holds (42 %), posts (31 %), voids (10 %), grants (15 %), Stars payments (2 %). Ours come from
JetStream through the real billing process, and the clock runs by the server's own timestamps from
the first answer to the last; pgbench makes the same statements, one operation per transaction, on
the same durable Postgres. Interleaved, median of five.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import nats

from bench.harness import Figure, cpu_seconds, machine, median, percentile
from billing.adapters.audit import audit
from billing.domain.invoice_payload import Seal
from billing.domain.payments import Payment
from chassis import bootstrap, migrations
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import SystemClock, new_id
from chassis.database import Database
from chassis.partitions import Partitions
from chassis.testing import drain
from contracts import billing, gateway, generator, payments, topology
from contracts.envelope import Headers, Message, contracts_of
from contracts.ids import MessageId
from contracts.media import MediaRef
from devstack.postgres import Postgres, postgres_binaries
from devstack.testing import private_nats, private_postgres, running_service

USERS = 2_000
HOT = USERS + 1
OPERATIONS = 8_000
HOT_OPERATIONS = 5_000
ROUNDS = 5
HOT_ROUNDS = 3
PACED_PER_SECOND = 400
PACED_SECONDS = 15
TICK = timedelta(milliseconds=10)
PGBENCH_SECONDS = 6
CREDITS = 1_000_000
ENDS, PAYMENTS = 60_000, 20_000
INVOICE = 0xFFFFFFFF << 96
SECRET = "a secret of the bench"
WEIGHTS = {"hold": 42, "post": 31, "void": 10, "grant": 15, "paid": 2}
"""As many ends as holds; a payment's 330 credits pay 33 orders, so 2 % is more than is spent."""
ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "hold": ROOT / "bench/pipeline.sql",
    **{name: ROOT / f"bench/ledger_sql/{name}.sql" for name in WEIGHTS if name != "hold"},
}
CONTRACTS = contracts_of(billing, gateway, generator, payments)
ASKED = (
    billing.PlaceOrder,
    billing.GrantCredits,
    generator.JobSucceeded,
    generator.JobFailed,
    gateway.StarsPaid,
)
PACE_KEPT = 1.1
RESULT = MediaRef(
    name="result", object_key="results/1.png", sha256="0" * 64, mime="image/png", size_bytes=10
)
PREPARED = {
    "users": USERS,
    "credits": CREDITS,
    "ends": ENDS,
    "payments": PAYMENTS,
    "hot_ends": HOT_OPERATIONS * HOT_ROUNDS // 2,
    "hot_payments": HOT_OPERATIONS * HOT_ROUNDS // 8,
    "ends_of_pgbench": ENDS // 2,
    "payments_of_pgbench": PAYMENTS // 2,
}


async def prepare(postgres: Postgres, broker: Broker) -> None:
    """People with plenty of credits, orders that wait for their ends, invoices to be paid."""
    await migrations.migrate(
        postgres.dsn(), schema="billing", folder=ROOT / "services/billing/migrations"
    )
    database = await Database.connect(postgres.dsn(), schema="billing")
    await Partitions(database, SystemClock()).maintain()
    script = (ROOT / "bench/ledger_sql/prepare.sql").read_text()
    async with database.read() as connection:
        await connection.execute(
            re.sub(r"(?<![:\w]):(\w+)", lambda found: str(PREPARED[found[1]]), _code(script))
        )
    await database.close()
    await bootstrap.apply(broker)


def _code(script: str) -> str:
    """A script without its comments."""
    return "".join(line for line in script.splitlines(True) if not line.startswith("--"))


@dataclass
class Operations:
    """Makes messages of the mix; each order is ended and each invoice is paid once."""

    random: Random
    person: Callable[[], int]
    owner: Callable[[int], int]
    ends: Iterator[int]
    invoices: Iterator[int]

    def __post_init__(self) -> None:
        self._seal = Seal(SECRET)

    def holds(self, number: int) -> list[Message]:
        return [self.hold() for _ in range(number)]

    def mixed(self, number: int) -> list[Message]:
        kinds = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)
        return [getattr(self, kind)() for kind in kinds]

    def hold(self) -> Message:
        return billing.PlaceOrder(
            order_id=new_id(),
            user_id=self.person(),
            workflow_id="image.product_scene",
            catalogue_version=1,
            price_credits=10,
            priced_at=datetime.now(UTC),
        )

    def post(self) -> Message:
        number = next(self.ends)
        user_id = self.owner(number)
        return generator.JobSucceeded(
            order_id=UUID(int=number), user_id=user_id, epoch=1, outputs=(RESULT,)
        )

    def void(self) -> Message:
        number = next(self.ends)
        return generator.JobFailed(
            order_id=UUID(int=number), user_id=self.owner(number), failure_class="out_of_memory"
        )

    def grant(self) -> Message:
        return billing.GrantCredits(
            grant_key=f"bench:{new_id()}",
            user_id=self.person(),
            credits=10,
            reason="bench",
            actor="bench",
        )

    def paid(self) -> Message:
        number = next(self.invoices)
        payment_id, user_id = UUID(int=INVOICE + number), self.owner(number)
        now = datetime.now(UTC)
        payment = Payment(
            *(payment_id, user_id, payments.STARS, payments.PRODUCT_PACK, "credits_300"),
            *(300, 30, 275, "XTR", now),
        )
        return gateway.StarsPaid(
            user_id=user_id,
            charge_id=f"bench-{payment_id}",
            invoice_payload=self._seal.sign(payment),
            amount_minor=275,
            currency="XTR",
            paid_at=now,
        )


def spread() -> Operations:
    random = Random(1)
    return Operations(
        random, lambda: random.randint(1, USERS), lambda n: n % USERS + 1, count(), count()
    )


def hot() -> Operations:
    return Operations(Random(2), lambda: HOT, lambda _: HOT, count(ENDS), count(PAYMENTS))


def outgoing(message: Message) -> OutgoingMessage:
    headers = Headers(id=MessageId(new_id()), sent_at=datetime.now(UTC))
    return OutgoingMessage(message.subject, message.encode(), headers.to_wire())


@asynccontextmanager
async def billing_process(postgres: Postgres, url: str) -> AsyncIterator[int]:
    settings = {
        "database_url": postgres.dsn(),
        "nats_url": url,
        "in_flight_max": 1_000_000,
        "queue_max": 100_000_000,
        "payload_secret": SECRET,
        "catalogue_dir": ROOT / "catalogue",
    }
    async with running_service("billing", settings) as process:
        yield process.pid


async def ours(
    postgres: Postgres, url: str, broker: Broker, messages: list[Message]
) -> tuple[float, float]:
    """Return operations per second, and CPU milliseconds of billing per operation."""
    for stream in ("JOBS", "EVENTS", "BILLING"):
        await broker.api(f"STREAM.PURGE.{stream}")
    for start in range(0, len(messages), 1_000):
        batch = [outgoing(each) for each in messages[start : start + 1_000]]
        assert all(await broker.publish_all(batch))
    before = int((await state_of(broker))["last_seq"])
    async with billing_process(postgres, url) as pid:
        await answered(broker, before + len(messages))
        cpu = cpu_seconds([pid])
    first, last = [await stored_at(broker, before + n) for n in (1, len(messages))]
    # The first batch was answered at `first`: its own work lies before the clock began.
    rate = (len(messages) - topology.BATCH_MAX) / (last - first).total_seconds()
    return rate, cpu / len(messages) * 1_000


async def state_of(broker: Broker) -> dict[str, Any]:
    info = await broker.api("STREAM.INFO.EVENTS")
    return dict(info["state"])


async def answered(broker: Broker, sequence: int) -> None:
    """Every operation is answered by exactly one event, and everything is acknowledged."""

    async def all_are() -> bool:
        consumer = await broker.consumer_info("EVENTS", "billing")
        commands = await broker.consumer_info("BILLING", "billing")
        left = consumer.num_ack_pending + consumer.num_pending
        left += commands.num_ack_pending + commands.num_pending
        return int((await state_of(broker))["last_seq"]) >= sequence and not left

    await drain(all_are, within=timedelta(seconds=120), what="every operation is answered")
    assert int((await state_of(broker))["last_seq"]) == sequence


async def stored_at(broker: Broker, sequence: int) -> datetime:
    answer = await broker.api("STREAM.MSG.GET.EVENTS", {"seq": sequence})
    text = re.sub(r"(\.\d{1,6})\d*Z$", r"\1+00:00", answer["message"]["time"])
    return datetime.fromisoformat(text)


async def pgbench(postgres: Postgres) -> float:
    """Return transactions per second of the same statements, one operation each."""
    scripts = [f"--file={SCRIPTS[name]}@{weight}" for name, weight in WEIGHTS.items()]
    process = await asyncio.create_subprocess_exec(
        *(str(postgres_binaries(None) / "pgbench"), "-n", "-c", "8", "-j", "2", "-M", "prepared"),
        *("-T", str(PGBENCH_SECONDS), *scripts, "-D", f"users={USERS}", postgres.dsn()),
        env={"PGOPTIONS": "-c search_path=billing"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    found = re.search(rb"tps = ([0-9.]+)", output)
    if process.returncode or found is None or re.search(rb"failed transactions: [1-9]", output):
        raise RuntimeError((output + errors).decode()[-2_000:])
    return float(found[1])


async def settle(postgres: Postgres) -> None:
    """Let neither side pay for the other's dirty pages."""
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute("SET search_path = billing")
    await connection.execute("VACUUM (ANALYZE) accounts, lots, orders, holds, grants, payments")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def waits(postgres: Postgres, url: str, broker: Broker, made: Operations) -> list[float]:
    """Milliseconds from the storing of each message to that of its answer, at a steady pace."""
    await broker.api("STREAM.PURGE.EVENTS")
    await _keep_commands(broker)
    before = int((await state_of(broker))["last_seq"])
    sent: list[Message] = []
    async with billing_process(postgres, url):
        loop = asyncio.get_running_loop()
        began = loop.time()
        each_tick = int(PACED_PER_SECOND * TICK.total_seconds())
        async with asyncio.TaskGroup() as publishing:
            for tick in range(int(PACED_SECONDS / TICK.total_seconds())):
                await asyncio.sleep(began + tick * TICK.total_seconds() - loop.time())
                messages = made.mixed(each_tick)
                publishing.create_task(broker.publish_all([outgoing(each) for each in messages]))
                sent += messages
            lasted = loop.time() - began
        assert lasted < PACED_SECONDS * PACE_KEPT, f"the pace was not kept: {lasted:.1f} s"
        events = sum(topology.stream_of(each.subject) == "EVENTS" for each in sent)
        await answered(broker, before + events + len(sent))
    asked: dict[str, datetime] = {}
    told: dict[str, datetime] = {}
    for stream in ("BILLING", "EVENTS"):
        for message, at in await _stored(url, stream):
            kept = asked if isinstance(message, ASKED) else told
            kept[_key(message)] = at
    assert asked.keys() == told.keys()
    return [(told[key] - at).total_seconds() * 1_000 for key, at in asked.items()]


async def _keep_commands(broker: Broker) -> None:
    """Commands are deleted once acknowledged; kept, they can be asked when they were stored."""
    stream = next(each for each in topology.streams() if each.name == "BILLING")
    consumer = next(each for each in topology.consumers() if each.stream == "BILLING")
    config = topology.stream_config(stream) | {"retention": "limits"}
    await broker.api("STREAM.DELETE.BILLING")
    await broker.api("STREAM.CREATE.BILLING", config)
    wanted = {"stream_name": "BILLING", "config": topology.consumer_config(consumer)}
    await broker.api(f"CONSUMER.CREATE.BILLING.{consumer.name}", wanted)


async def _stored(url: str, stream: str) -> list[tuple[Any, datetime]]:
    """Every message of a stream that we know, with the moment the server stored it."""
    client = await nats.connect(url)
    found: list[tuple[Any, datetime]] = []
    subscription = await client.jetstream().subscribe(">", stream=stream, ordered_consumer=True)
    left = 1
    while left:
        message = await subscription.next_msg(timeout=5)
        left = message.metadata.num_pending
        if (kind := CONTRACTS.get(message.subject)) is not None:
            found.append((kind.decode(message.data), message.metadata.timestamp))
    await client.close()
    return found


def _key(message: Any) -> str:
    names = ("order_id", "charge_id", "grant_key")
    return next(str(value) for name in names if (value := getattr(message, name, None)))


async def measure(rounds: int = ROUNDS) -> Figure:
    figure = Figure(
        "ledger",
        "mixed operations/s at least 1.5 x pgbench's with the same statements; "
        "1,000/s on one account",
    )
    figure.values |= machine()
    settings = {"max_wal_size": "4GB", "checkpoint_timeout": "30min"}
    async with private_postgres(settings) as postgres, private_nats() as server:
        broker = await Broker.connect(server.url, name="bench", on_fatal=sys.exit)
        await prepare(postgres, broker)
        people, one = spread(), hot()
        mixed, cpu, theirs, alone, holds = [], [], [], [], []
        for _ in range(rounds):
            await settle(postgres)
            rate, used = await ours(postgres, server.url, broker, people.mixed(OPERATIONS))
            mixed.append(rate)
            cpu.append(used)
            await settle(postgres)
            theirs.append(await pgbench(postgres))
        for _ in range(HOT_ROUNDS):
            await settle(postgres)
            rate, _ = await ours(postgres, server.url, broker, one.mixed(HOT_OPERATIONS))
            alone.append(rate)
            rate, _ = await ours(postgres, server.url, broker, one.holds(HOT_OPERATIONS))
            holds.append(rate)
        await settle(postgres)
        lasted = await waits(postgres, server.url, broker, people)
        await broker.close()
        await check(postgres)
    figure.add("ours, mixed, median", median(mixed), "operations/s", key="mixed_per_second")
    figure.add("pgbench, median", median(theirs), "operations/s", key="pgbench_per_second")
    figure.add("ratio", median(mixed) / median(theirs), "x", key="ratio")
    figure.add("CPU of billing per operation", median(cpu), "ms", key="cpu_ms_per_operation")
    figure.add("one account, holds, median", median(holds), "operations/s", key="hot_holds")
    figure.add("one account, mixed, median", median(alone), "operations/s", key="hot_mixed")
    pace = f"stored -> answer stored, {PACED_PER_SECOND} operations/s"
    figure.add(f"p50, {pace}", percentile(lasted, 0.5), "ms", key="p50_ms")
    figure.add(f"p99, {pace}", percentile(lasted, 0.99), "ms", key="p99_ms")
    figure.values["rounds"] = {
        "ours": mixed,
        "pgbench": theirs,
        "hot_mixed": alone,
        "hot_holds": holds,
    }
    return figure


async def check(postgres: Postgres) -> None:
    """Whoever was fast must also have been right: the audit finds no drift, pgbench's included."""
    database = await Database.connect(postgres.dsn(), schema="billing")
    async with database.read() as connection:
        report = await audit(connection)
    await database.close()
    assert report.healthy, "\n".join(report.lines())


if __name__ == "__main__":
    asyncio.run(measure()).show()
