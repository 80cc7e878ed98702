"""The storm's watcher looks at every dead key, however many there are."""

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg

from devstack.vpn_storm import REAL, Shop
from devstack.vpn_watch import Watcher
from simulators.vless_node.node import RealNode

TABLES = """
CREATE SCHEMA vpn;
CREATE TABLE vpn.nodes (name text, generation bigint);
CREATE TABLE public.keys (seq bigserial, subscription_id uuid, key uuid, live boolean,
    generation bigint, expires_at timestamptz);
"""
NOTE = "INSERT INTO public.keys (subscription_id, key, live, generation) VALUES ($1, $2, $3, 1)"
DEAD_KEYS = 95
ROUNDS = 2
LOOKS = 4
"""Three with keys and one that finds the end."""


class Noting(Watcher):
    """Notes whom it would have tried."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self.tried = Counter[UUID]()

    async def passes(self, node: RealNode, key: UUID) -> bool:
        del node
        self.tried[key] += 1
        return False


async def test_every_dead_key_gets_its_turn_and_live_ones_none(database_dsn: str) -> None:
    connection = await asyncpg.connect(database_dsn)
    try:
        await connection.execute(TABLES)
        await connection.execute("INSERT INTO vpn.nodes VALUES ($1, 1)", REAL)
        dead = {uuid4(): uuid4() for _ in range(DEAD_KEYS)}
        for old, subscription in dead.items():
            await connection.execute(NOTE, subscription, old, True)
            await connection.execute(NOTE, subscription, uuid4(), True)
        shop: Any = SimpleNamespace(nodes={REAL: None}, fetch=connection.fetch)
        watcher = Noting(cast("Shop", shop))

        for _ in range(ROUNDS * LOOKS):
            await watcher.dead_keys()
    finally:
        await connection.close()

    assert watcher.tried == dict.fromkeys(dead, ROUNDS)
    assert watcher.rounds == ROUNDS
