"""The ledger under a mixed load beside pgbench, on one hot account, and how long one takes.

The mix: of 98 operations that are no payment 42 hold the price of an order, 41 end one (31 post,
10 void: one order in four fails or is cancelled, more than any day should see, for a void is the
dearest end) and 15 grant (trials, promo codes, referrals). How many payments belong to that, the
prices say: an order costs 10 credits and a pack brings 330, so the 31 orders that are charged
spend what one payment in a hundred operations brings. Measured are 2 %, twice as many as the shop
can use, and 10 %, a day on which everybody buys and few order.

Ours come from JetStream through the real billing process, and the clock runs by the server's own
timestamps from the first answer to the last; pgbench makes the same statements, one operation per
transaction, on the same durable Postgres. Interleaved, median of five.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import nats

from bench.beside_pgbench import (
    ROOT,
    SECRET,
    SERVER,
    Signing,
    billing_process,
    pgbench,
    prepared,
    settle,
    state_of,
    stored_at,
    unsigned,
)
from bench.harness import Figure, cpu_seconds, machine, median, percentile
from billing.adapters.audit import audit
from billing.domain.invoice_payload import Seal
from billing.domain.payments import Payment
from chassis.broker import Broker, OutgoingMessage
from chassis.clock import new_id
from chassis.database import Database
from chassis.testing import drain
from contracts import billing, gateway, generator, payments, topology
from contracts.envelope import Headers, Message, contracts_of
from contracts.ids import MessageId
from contracts.media import MediaRef
from devstack.postgres import Postgres
from devstack.testing import private_nats, private_postgres

USERS = 2_000
HOT = USERS + 1
OPERATIONS = 8_000
HOT_OPERATIONS = 5_000
ROUNDS = 5
PACED_PER_SECOND = 400
PACED_SECONDS = 15
TICK = timedelta(milliseconds=10)
CREDITS = 1_000_000
ENDS, PAYMENTS = 100_000, 20_000
INVOICE = 0xFFFFFFFF << 96
BESIDE_PAYMENTS = {"hold": 42, "post": 31, "void": 10, "grant": 15}
USUAL, MANY = 2, 10
SCRIPTS = ROOT / "bench/ledger_sql"
TABLES = ("accounts", "lots", "orders", "holds", "grants", "payments", "charges")
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
    "hot_ends": HOT_OPERATIONS * ROUNDS,
    "hot_payments": HOT_OPERATIONS * ROUNDS // 5,
    "ends_of_pgbench": ENDS // 2,
    "payments_of_pgbench": PAYMENTS // 2,
}


async def prepare(postgres: Postgres, broker: Broker) -> None:
    """People with plenty of credits, orders that wait for their ends, invoices to be paid."""
    script = (SCRIPTS / "prepare.sql").read_text()
    async with prepared(postgres, broker) as connection:
        await connection.execute(
            re.sub(r"(?<![:\w]):(\w+)", lambda found: str(PREPARED[found[1]]), _code(script))
        )


def mix(payments_percent: int) -> dict[str, int]:
    """The weight of each kind of operation, in a thousand."""
    rest = (1_000 - 10 * payments_percent) / sum(BESIDE_PAYMENTS.values())
    weights = {kind: round(weight * rest) for kind, weight in BESIDE_PAYMENTS.items()}
    return weights | {"paid": 10 * payments_percent}


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

    def mixed(self, number: int, payments_percent: int = USUAL) -> list[Message]:
        weights = mix(payments_percent)
        kinds = self.random.choices(list(weights), list(weights.values()), k=number)
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
            actor=f"bench {new_id()}",  # one person gives only so much a day
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


async def ours(
    postgres: Postgres,
    url: str,
    broker: Broker,
    messages: list[Message],
    settings: Mapping[str, object] | None = None,
    sign: Signing = unsigned,
) -> tuple[float, float]:
    """Return operations per second, and CPU milliseconds of billing per operation."""
    for stream in ("JOBS", "EVENTS", "BILLING"):
        await broker.api(f"STREAM.PURGE.{stream}")
    for start in range(0, len(messages), 1_000):
        batch = sign([outgoing(each) for each in messages[start : start + 1_000]])
        assert all(await broker.publish_all(batch))
    before = int((await state_of(broker, "EVENTS"))["last_seq"])
    async with billing_process(postgres, url, settings) as pid:
        await answered(broker, before + len(messages))
        cpu = cpu_seconds([pid])
    first, last = [await stored_at(broker, "EVENTS", before + n) for n in (1, len(messages))]
    # One batch was answered at `first`, and the other consumer's may have been as good as done:
    # the work on both lies before the clock began.
    rate = (len(messages) - 2 * topology.BATCH_MAX) / (last - first).total_seconds()
    return rate, cpu / len(messages) * 1_000


async def answered(broker: Broker, sequence: int) -> None:
    """Every operation is answered by exactly one event, and everything is acknowledged."""

    async def all_are() -> bool:
        consumer = await broker.consumer_info("EVENTS", "billing")
        commands = await broker.consumer_info("BILLING", "billing")
        left = consumer.num_ack_pending + consumer.num_pending
        left += commands.num_ack_pending + commands.num_pending
        return int((await state_of(broker, "EVENTS"))["last_seq"]) >= sequence and not left

    await drain(all_are, within=timedelta(seconds=120), what="every operation is answered")
    assert int((await state_of(broker, "EVENTS"))["last_seq"]) == sequence


def scripts(payments_percent: int) -> dict[Path, int]:
    """What pgbench draws from; a hold is what bench/pipeline.py measures alone."""
    weights = mix(payments_percent)
    hold = {ROOT / "bench/pipeline.sql": weights.pop("hold")}
    return hold | {SCRIPTS / f"{kind}.sql": weight for kind, weight in weights.items()}


async def waits(postgres: Postgres, url: str, broker: Broker, made: Operations) -> list[float]:
    """Milliseconds from the storing of each message to that of its answer, at a steady pace."""
    await broker.api("STREAM.PURGE.EVENTS")
    await _keep_commands(broker)
    before = int((await state_of(broker, "EVENTS"))["last_seq"])
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


@dataclass
class Measured:
    """Every round's figures of one share of payments."""

    ours: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    pgbench: list[float] = field(default_factory=list)
    hot: list[float] = field(default_factory=list)

    def add_to(self, figure: Figure, percent: int) -> None:
        """The usual mix has the plain keys, by which it was known before there were two."""
        end = "" if percent == USUAL else f"_{percent}"
        for label, value, unit, key in (
            ("ours, mixed, median", median(self.ours), "operations/s", "mixed_per_second"),
            ("pgbench, median", median(self.pgbench), "operations/s", "pgbench_per_second"),
            ("ratio", median(self.ours) / median(self.pgbench), "x", "ratio"),
            ("CPU of billing per operation", median(self.cpu), "ms", "cpu_ms_per_operation"),
            ("one account, mixed, median", median(self.hot), "operations/s", "hot_mixed"),
        ):
            figure.add(f"{percent} % payments: {label}", value, unit, key=key + end)


async def measure(rounds: int = ROUNDS) -> Figure:
    figure = Figure(
        "ledger",
        "mixed operations/s at least 1.5 x pgbench's with the same statements; "
        "1,000/s on one account",
    )
    figure.values |= machine()
    found = {USUAL: Measured(), MANY: Measured()}
    holds = []
    async with private_postgres(SERVER) as postgres, private_nats() as server:
        broker = await Broker.connect(server.url, name="bench", on_fatal=sys.exit)
        await prepare(postgres, broker)
        people, one = spread(), hot()

        async def run(messages: list[Message]) -> tuple[float, float]:
            await settle(postgres, TABLES)
            return await ours(postgres, server.url, broker, messages)

        for _ in range(rounds):
            for percent, each in found.items():
                rate, used = await run(people.mixed(OPERATIONS, percent))
                each.ours.append(rate)
                each.cpu.append(used)
                await settle(postgres, TABLES)
                each.pgbench.append(await pgbench(postgres, scripts(percent), USERS))
                each.hot.append((await run(one.mixed(HOT_OPERATIONS, percent)))[0])
            holds.append((await run(one.holds(HOT_OPERATIONS)))[0])
        await settle(postgres, TABLES)
        lasted = await waits(postgres, server.url, broker, people)
        await broker.close()
        await check(postgres)
    for percent, each in found.items():
        each.add_to(figure, percent)
    figure.add("one account, holds, median", median(holds), "operations/s", key="hot_holds")
    pace = f"stored -> answer stored, {PACED_PER_SECOND} operations/s"
    figure.add(f"p50, {pace}", percentile(lasted, 0.5), "ms", key="p50_ms")
    figure.add(f"p99, {pace}", percentile(lasted, 0.99), "ms", key="p99_ms")
    figure.values["rounds"] = {
        **{f"{percent} % payments": asdict(each) for percent, each in found.items()},
        "one account, holds": holds,
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
