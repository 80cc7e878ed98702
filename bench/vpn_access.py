"""From a command in JetStream to the first packet on every node, and to the first refusal.

Three real v2ray nodes under real agents (mutual TLS), the vpn service and billing as processes, a
durable Postgres, nats-server with fsync. One sample: publish the command, then try with new VLESS
connections on all three nodes until each brings the target's first byte (or none does any more).
The key, which the service makes, is heard from a trigger's NOTIFY the moment it is committed. What
all of it waits for besides: three milliseconds between two tries.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import asyncpg

from bench.beside_pgbench import ROOT, billing_process, prepared
from bench.harness import Figure, cpu_seconds, machine, percentile
from bench.vpn_stage import nodes, nodes_file, until_everywhere
from chassis import migrations
from chassis.broker import Broker
from chassis.clock import new_id
from chassis.testing import drain
from contracts.access import BuyAccess
from contracts.envelope import Headers, Message
from contracts.ids import MessageId, OrderId, UserId
from contracts.money import Credits
from contracts.vpn import GrantAccess, RevokeAccess, RotateKey
from devstack.postgres import Postgres
from devstack.testing import private_nats, private_postgres, running_service
from simulators.vless_node.node import RealNode
from simulators.vless_node.target import Target
from vpn.main import MIGRATIONS, SCHEMA

NAMES = ("eu-1", "eu-2", "eu-3")
WARM = 6
SAMPLES = 50
PLAN, PRICE, DAYS = "vpn_30", 150, 30
PAUSE_SECONDS = (0.02, 0.1)
"""Between two samples: neither in step with the keepers' looks nor in their way."""
KEY_SECONDS_MAX = 20.0
LABELS = {
    "granted": "grant_access -> first packet everywhere",
    "bought": "buy_access (billing) -> first packet everywhere",
    "revoked": "revoke_access -> refused everywhere",
    "rotated": "rotate_key -> old key refused everywhere",
}
GOAL = (
    "paid -> first packet on 3 nodes p50 <= 150 ms, p99 <= 1 s; "
    "removal or rotation -> refused everywhere p99 <= 1 s"
)
TOLD = """
CREATE FUNCTION vpn.tell_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_notify('keys', NEW.user_id || ' ' || NEW.key);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_key AFTER INSERT OR UPDATE OF key ON vpn.subscriptions
    FOR EACH ROW WHEN (NEW.key IS NOT NULL) EXECUTE FUNCTION vpn.tell_key();
"""
ACCOUNTS = """
INSERT INTO billing.accounts (user_id, available, held, debt, in_flight, transfers, lots_opened,
    tier, tier_version, deep_link, opened_at)
SELECT g, 1000, 0, 0, 0, 1, 1, 'none', 0, '', now() FROM generate_series(1, 10000) g;
INSERT INTO billing.lots (user_id, number, kind, granted, remaining, state)
SELECT user_id, 1, 'paid', available, available, 'open' FROM billing.accounts;
INSERT INTO billing.transfers (user_id, number, lot, amount, debit, credit, kind, reason, at)
SELECT user_id, 1, 1, available, 'house:sales', 'available', 'grant', '', now()
FROM billing.accounts;
"""


@dataclass
class Keys:
    """The newest key of each person, as they are committed."""

    known: dict[int, UUID] = field(default_factory=dict)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        user, key = str(payload).split()
        self.known[int(user)] = UUID(key)
        self.heard.set()

    async def other_than(self, user_id: UserId, old: UUID | None) -> UUID:
        async with asyncio.timeout(KEY_SECONDS_MAX):
            while (found := self.known.get(user_id)) is None or found == old:
                self.heard.clear()
                await self.heard.wait()
        return found


@dataclass
class Shop:
    """Commands go in at one end, clients try at the other."""

    broker: Broker
    url: str
    nodes: list[RealNode]
    target: Target
    keys: Keys
    people: count[int] = field(default_factory=lambda: count(1))

    async def tell(self, message: Message) -> None:
        headers = Headers(id=MessageId(new_id())).to_wire()
        await self.broker.publish(message.subject, message.encode(), headers)

    async def until(self, key: UUID, *, passes: bool) -> None:
        await until_everywhere(self.nodes, key, self.target.port, passes=passes)

    async def grant(self) -> tuple[UserId, OrderId, float]:
        """Access for a new person; the seconds until it passes everywhere."""
        user_id, order_id = UserId(next(self.people)), OrderId(new_id())
        began = _now()
        await self.tell(GrantAccess(order_id=order_id, user_id=user_id, plan=PLAN, days=DAYS))
        await self.until(await self.keys.other_than(user_id, None), passes=True)
        return user_id, order_id, _now() - began

    async def granted(self) -> float:
        return (await self.grant())[2]

    async def bought(self) -> float:
        user_id, began = UserId(next(self.people)), _now()
        buy = BuyAccess(
            order_id=OrderId(new_id()),
            user_id=user_id,
            plan_id=PLAN,
            price_credits=Credits(PRICE),
            priced_at=datetime.now(UTC),
        )
        await self.tell(buy)
        await self.until(await self.keys.other_than(user_id, None), passes=True)
        return _now() - began

    async def revoked(self) -> float:
        user_id, order_id, _ = await self.grant()
        began = _now()
        await self.tell(RevokeAccess(order_id=order_id, user_id=user_id))
        await self.until(self.keys.known[user_id], passes=False)
        return _now() - began

    async def rotated(self) -> float:
        """Until the old key is refused everywhere; that the new one passes is waited for after."""
        user_id, _, _ = await self.grant()
        old, began = self.keys.known[user_id], _now()
        await self.tell(RotateKey(user_id=user_id))
        await self.until(old, passes=False)
        took = _now() - began
        await self.until(await self.keys.other_than(user_id, old), passes=True)
        return took


def _now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[Shop, Postgres, list[int]]]:
    """Everything runs but billing; with the process ids of the service and of the agents."""
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(private_postgres())
        server = await stack.enter_async_context(private_nats())
        pki, made = await stack.enter_async_context(nodes(*NAMES))
        broker = await Broker.connect(server.url, name="bench", on_fatal=sys.exit)
        async with prepared(postgres, broker) as connection:
            await connection.execute(ACCOUNTS)
        await migrations.migrate(postgres.dsn(), schema=SCHEMA, folder=MIGRATIONS)
        settings = {
            "database_url": postgres.dsn(),
            "nats_url": server.url,
            "catalogue_dir": ROOT / "catalogue",
            **nodes_file(pki, made),
        }
        vpn = await stack.enter_async_context(running_service("vpn", settings))
        target = Target()
        await target.start()
        keys = Keys()
        listening = await _listen(postgres, keys)
        await _kept(listening)
        yield (
            Shop(broker, server.url, made, target, keys),
            postgres,
            [vpn.pid, *(each.pid for each in made)],
        )
        await listening.close()
        await target.stop()
        await broker.close()


async def _listen(postgres: Postgres, keys: Keys) -> asyncpg.Connection:
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute(TOLD)
    await connection.add_listener("keys", keys.hear)
    return connection


async def _kept(connection: asyncpg.Connection) -> None:
    async def up() -> bool:
        found = await connection.fetchval("SELECT count(*) FROM vpn.nodes WHERE health = 'up'")
        return bool(found == len(NAMES))

    await drain(up, what="every node is up")


async def measure(samples: int = SAMPLES) -> Figure:
    figure = Figure("paid -> first packet on 3 real nodes; removal -> refused", GOAL)
    figure.values |= machine()
    async with shop() as (stage, postgres, pids):
        kinds = [stage.granted, stage.revoked, stage.rotated]
        before, began = cpu_seconds(pids), _now()
        taken = await _take(kinds, samples)
        busy = (cpu_seconds(pids) - before) / (_now() - began)
        # Billing takes back what nobody paid for: it comes when that is over and forgotten.
        await stage.broker.api("STREAM.PURGE.EVENTS")
        async with billing_process(postgres, stage.url):
            taken |= await _take([stage.bought], samples)
    figure.add("samples of each", samples, "", key="samples")
    for name, label in LABELS.items():
        for share, which in ((0.5, "p50"), (0.99, "p99")):
            value = percentile(taken[name], share)
            figure.add(f"{label}: {which}", value, "ms", key=f"{name}_{which}_ms")
    figure.add("CPU of vpn, agents and cores meanwhile", busy * 100, "% of a core", key="cpu")
    return figure


async def _take(
    kinds: list[Callable[[], Awaitable[float]]], samples: int
) -> dict[str, list[float]]:
    """Samples of each kind in turn: what the machine does meanwhile falls on all of them."""
    taken: dict[str, list[float]] = {sample.__name__: [] for sample in kinds}
    for number in range(WARM + samples):
        for sample in kinds:
            milliseconds = await sample() * 1_000
            if number >= WARM:
                taken[sample.__name__].append(milliseconds)
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
    return taken


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(measure(*given)).show()


if __name__ == "__main__":
    main()
