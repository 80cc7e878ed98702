"""A VPN shop that is killed all the time: two vpn, a scheduler, three nodes, and what they said.

`eu-1` is a real v2ray under a real agent; the other two are cores of gRPC alone, which list whom
they let pass. Every core also has people of an operator's own, whom nobody here ever issued.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from chassis import bootstrap, migrations
from chassis.broker import Broker
from devstack.nats_server import NatsServer
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from devstack.testing import free_port, private_nats, private_postgres, scratch_folder, wait_until
from simulators.vless_node.node import RealNode
from simulators.vless_node.target import Target
from vpn.adapters.core.client import CoreClient, CoreUser
from vpn.adapters.core.errors import CoreUnreachableError
from vpn.agent.core_config import plain_base
from vpn.agent.pki import CONTROL, Pki

End = Callable[[], Awaitable[None]]
Start = Callable[[], Awaitable[None] | None]
SERVICES = Path(__file__).parents[3] / "services"
NODES = {"eu-1": "eu", "eu-2": "eu", "us-1": "us"}
REAL = "eu-1"
STRANGERS = 3
DOWN_SECONDS = (0.05, 0.8)
ANSWER_SECONDS = 15.0
WORDS_CHARACTERS = 3_000
PLANS = """
[regions]
eu = "Europe"
us = "America"
[[plans]]
id = "vpn_all"
price_credits = 10
days = 30
[[plans]]
id = "vpn_eu"
price_credits = 10
days = 30
regions = ["eu"]
"""
# What was committed, as it was committed: keys that nodes were to hold, and messages.
NOTES = """
CREATE TABLE public.keys (seq bigserial, subscription_id uuid, key uuid, live boolean,
    generation bigint, expires_at timestamptz);
CREATE FUNCTION public.note_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.keys (subscription_id, key, live, generation, expires_at)
    VALUES (NEW.subscription_id, NEW.key, NEW.removed_for IS NULL, NEW.generation, NEW.expires_at);
    RETURN NULL; END $$;
CREATE TRIGGER note_key AFTER INSERT OR UPDATE ON vpn.desired
    FOR EACH ROW EXECUTE FUNCTION public.note_key();
CREATE TABLE public.told (seq bigserial, service text, id uuid, subject text, body bytea);
CREATE FUNCTION public.note_told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.told (service, id, subject, body)
    VALUES (TG_ARGV[0], NEW.id, NEW.subject, NEW.body);
    RETURN NULL; END $$;
CREATE TRIGGER note_told AFTER INSERT ON vpn.outbox
    FOR EACH ROW EXECUTE FUNCTION public.note_told('vpn');
CREATE TRIGGER note_told AFTER INSERT ON scheduler.outbox
    FOR EACH ROW EXECUTE FUNCTION public.note_told('scheduler');
"""


class ListingCore:
    """A core of gRPC alone, in a process of its own. Killed, it forgets everybody."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.strangers = {f"stranger-{n}@operator": uuid4() for n in range(STRANGERS - 1)}
        self.strangers[str(uuid4())] = uuid4()  # looks like one of ours, and never was
        command = (sys.executable, "-m", "simulators.vless_node", "--port", str(self.port))
        self._process = ChildProcess("core", command, output=Path(os.devnull))
        self.life = 0
        """Odd while it runs with everybody in it."""

    async def start(self) -> None:
        self._process.start()
        client = CoreClient(self.address, "vless")
        try:
            await wait_until(lambda: self._answers(client), "the core answers", ANSWER_SECONDS)
            for email, key in self.strangers.items():
                await client.add(email, key)
            self.life += 1
        finally:
            await client.close()

    @staticmethod
    async def _answers(client: CoreClient) -> bool:
        try:
            await client.probe()
        except CoreUnreachableError:
            return False
        return True

    async def kill(self) -> None:
        self.life += self.life % 2
        await self._process.kill9()

    async def users(self) -> dict[str, UUID]:
        client = CoreClient(self.address, "vless")
        try:
            await client.probe()
            return {one.email: one.key for one in await client.users()}
        finally:
            await client.close()


class Shop:
    """Everything that runs and may be killed."""

    def __init__(self, postgres: Postgres, server: NatsServer, folder: Path, core: str) -> None:
        self.postgres, self.server = postgres, server
        self.target = Target()
        self.kills: Counter[str] = Counter()
        self.hurt: dict[str, float] = {}
        """When each was killed, or came back, the last time (monotonic)."""
        self.stranger = CoreUser("operator", uuid4())
        self.cores = {name: ListingCore() for name in NODES if name != REAL}
        authority = Pki(folder / "pki")
        authority.init()
        authority.control()
        for name in NODES:
            authority.node(name)
        base = plain_base("127.0.0.1", 0, "vless")
        config = folder / "base.json"
        self.nodes = {
            name: RealNode(
                name,
                folder / name,
                pki=authority.folder,
                core=core,
                settings={"VPN_AGENT_CORE_CONFIG": str(config), **QUIET}
                if name == REAL
                else {"VPN_AGENT_CORE_API": self.cores[name].address, **QUIET},
            )
            for name in NODES
        }
        client = {"id": str(self.stranger.key), "email": self.stranger.email, "level": 0}
        base["inbounds"][0]["port"] = self.nodes[REAL].vless_port
        base["inbounds"][0]["settings"]["clients"] = [client]
        config.write_text(json.dumps(base))
        (folder / "vpn.toml").write_text(PLANS)
        (folder / "nodes.toml").write_text(
            "".join(
                f'[[nodes]]\nname = "{name}"\nregion = "{NODES[name]}"\nurl = "{node.url}"\n'
                f'[nodes.link]\naddress = "127.0.0.1"\nport = {node.vless_port}\n'
                for name, node in self.nodes.items()
            )
        )
        certificates = {
            "NODES_CERTIFICATE": authority.folder / f"{CONTROL}.crt",
            "NODES_KEY": authority.folder / f"{CONTROL}.key",
            "NODES_CA": authority.folder / "ca.crt",
            "NODES_FILE": folder / "nodes.toml",
            "CATALOGUE_DIR": folder,
        }
        self._certificates = certificates
        self._log = folder / "services.log"
        self.services: dict[str, ChildProcess] = {}

    def prepare(self, vpn: Mapping[str, object], scheduler: Mapping[str, object]) -> None:
        """Settings without their prefixes; two replicas of vpn, one scheduler."""
        for name in ("vpn-1", "vpn-2"):
            self.services[name] = self._service("vpn", {**self._certificates, **vpn})
        self.services["scheduler"] = self._service("scheduler", scheduler)

    def _service(self, name: str, settings: Mapping[str, object]) -> ChildProcess:
        shared: dict[str, object] = {
            "DATABASE_URL": self.postgres.dsn(),
            "NATS_URL": self.server.url,
            "SIGNATURES": "off",
            "HEALTH_PORT": free_port(),
            "LOG_LEVEL": "warning",
        }
        given = {f"{name}_{key}".upper(): str(v) for key, v in {**shared, **settings}.items()}
        command = (sys.executable, "-m", name)
        return ChildProcess(name, command, environment={**os.environ, **given}, output=self._log)

    async def start(self) -> None:
        await self.target.start()
        for schema in ("vpn", "scheduler"):
            folder = SERVICES / schema / "migrations"
            await migrations.migrate(self.postgres.dsn(), schema=schema, folder=folder)
        await self.fetch(NOTES)
        broker = await Broker.connect(self.server.url, name="storm", on_fatal=sys.exit)
        await bootstrap.apply(broker)
        await broker.close()
        await asyncio.gather(*(core.start() for core in self.cores.values()))
        for node in self.nodes.values():
            node.start()
        for service in self.services.values():
            service.start()

    async def stop(self) -> None:
        for service in self.services.values():
            await service.kill9()
        for node in self.nodes.values():
            await node.close()
        for core in self.cores.values():
            await core.kill()
        await self.target.stop()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows, over a connection of its own: the server may have died since the last."""
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            if not arguments and query.count(";") > 1:
                await connection.execute(query)
                return []
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    def last_words(self) -> str:
        """Who runs, and what was logged last: for whoever reads of a storm that did not settle."""
        told = [f"{name} runs: {each.running}" for name, each in self.services.items()]
        told += [f"agent {name} runs: {each.running}" for name, each in self.nodes.items()]
        logs = [self._log, *(each.log for each in self.nodes.values())]
        told += [f"{log.parent.name}: {log.read_text()[-WORDS_CHARACTERS:]}" for log in logs]
        return "\n".join(told)

    # Kills.

    def victims(self) -> dict[str, Callable[[float], Coroutine[Any, Any, None]]]:
        """Whoever can be killed: ended as by a crash, and back after so many seconds."""
        pairs: dict[str, tuple[End, Start]] = {
            **{name: (each.kill9, each.start) for name, each in self.services.items()},
            **{f"agent {name}": (each.kill, each.start) for name, each in self.nodes.items()},
            **{f"core {name}": (each.kill, each.start) for name, each in self.cores.items()},
            # The agent starts the next one.
            f"core {REAL}": (self.nodes[REAL].kill_core, lambda: None),
            "nats": (self.server.kill, self.server.start),
            "postgres": (self.postgres.kill, self.postgres.start),
        }
        return {name: partial(self._again, *pair) for name, pair in pairs.items()}

    @staticmethod
    async def _again(kill: End, start: Start, down: float) -> None:
        await kill()
        await asyncio.sleep(down)
        if (starting := start()) is not None:
            await starting

    def unhurt(self, node: str, seconds: float) -> bool:
        """Whether neither its agent nor its core was killed for so long."""
        last = max(self.hurt.get(f"{kind} {node}", 0.0) for kind in ("agent", "core"))
        return time.monotonic() - last > seconds

    async def kill_in_turn(self, chance: random.Random, stop: asyncio.Event, every: float) -> None:
        """Each kind before any a second time, until `stop`; everybody is up again afterwards."""
        left: list[str] = []
        victims = self.victims()
        while not stop.is_set():
            if not left:
                left = chance.sample(sorted(victims), len(victims))
            victim = left.pop()
            self.hurt[victim] = time.monotonic()
            await victims[victim](chance.uniform(*DOWN_SECONDS))
            self.kills[victim] += 1
            self.hurt[victim] = time.monotonic()
            await asyncio.sleep(chance.uniform(0.5, 1.5) * every)


QUIET = {"VPN_AGENT_LOG_LEVEL": "warning", "VPN_AGENT_CORE_CHECK_EVERY": "0.3"}


@asynccontextmanager
async def vpn_shop(
    core: str, vpn: Mapping[str, object], scheduler: Mapping[str, object]
) -> AsyncIterator[Shop]:
    """A shop of its own, started; nothing of it is left afterwards."""
    async with private_postgres() as postgres, private_nats() as server:
        with scratch_folder() as folder:
            shop = Shop(postgres, server, folder, core)
            shop.prepare(vpn, scheduler)
            try:
                await shop.start()
                yield shop
            finally:
                await shop.stop()


__all__ = ["NODES", "REAL", "ListingCore", "Shop", "vpn_shop"]
