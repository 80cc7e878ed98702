"""What must hold on VPN nodes at every moment of a storm, and after it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import asyncpg

from chassis.errors import TransientError
from chassis.testing import drain
from devstack.vpn_storm import NODES, REAL, Shop
from simulators.vless_node import probe
from simulators.vless_node.node import RealNode
from vpn.domain.plans import serves

HISTORY = "SELECT * FROM public.keys WHERE subscription_id = $1 ORDER BY seq"
# Of what the node confirmed, the last word on each: all other keys are dead, but those that came
# back to life after it (suspended and paid for again, it is the same key).
DEAD = """
WITH said AS (
    SELECT DISTINCT ON (subscription_id) * FROM public.keys
    WHERE generation <= (SELECT generation FROM vpn.nodes WHERE name = $1)
    ORDER BY subscription_id, seq DESC)
SELECT DISTINCT old.key, old.subscription_id, said.seq AS seen
FROM public.keys old JOIN said USING (subscription_id)
WHERE old.seq <= said.seq AND NOT (said.live AND said.key = old.key)
    AND NOT EXISTS (SELECT FROM public.keys new WHERE new.subscription_id = said.subscription_id
        AND new.seq > said.seq AND new.live AND new.key = old.key)
    AND old.key > $2
ORDER BY old.key LIMIT 40
"""
FIRST = UUID(int=0)
WANTED = """
SELECT subscription_id::text AS email, key, set_id FROM vpn.desired
WHERE removed_for IS NULL AND expires_at > now()
"""
EXPIRED = """
SELECT DISTINCT ON (subscription_id) key, live AND expires_at < now() - interval '3 s' AS over
FROM public.keys WHERE generation <= (SELECT generation FROM vpn.nodes WHERE name = $1)
ORDER BY subscription_id, seq DESC
"""
MADE = """
SELECT (SELECT count(DISTINCT key) FROM public.keys) AS keys,
    (SELECT generation FROM vpn.desired_head) AS generations,
    (SELECT sum(timer_version) FROM vpn.subscriptions) AS timers,
    (SELECT count(*) FROM public.told WHERE service = 'scheduler') AS firings
"""
AWAY = (
    *(OSError, TransientError, asyncpg.PostgresError, asyncpg.InterfaceError),
    asyncpg.InternalClientError,  # what asyncpg makes of a server that dies between two steps
)
UNHURT_SECONDS = 4.0
"""An agent that was killed ends nobody until it is back; one that lives does by itself."""


class Watcher:
    """What must hold at every moment, whatever is being killed."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.wrong: list[str] = []
        self.looked = Counter[str]()
        self.rounds = 0
        """How often every dead key there was has been tried."""
        self._tried_up_to = FIRST
        self.settled = 0.0
        """Seconds from the last kill's end until every node was in step."""

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.dead_keys()
                await self.expired_keys()
                await self.strangers()
            except AWAY:
                self.looked["nobody there"] += 1
            await asyncio.sleep(0.1)

    async def dead_keys(self) -> None:
        """A node refuses every key that was replaced or taken before what it confirmed."""
        node = self.shop.nodes[REAL]
        # Some at a time, in their order, and from the first again: no look at all of them is quick.
        rows = await self.shop.fetch(DEAD, REAL, self._tried_up_to)
        self.rounds += not rows and self._tried_up_to != FIRST
        self._tried_up_to = rows[-1]["key"] if rows else FIRST
        self.looked["dead keys"] += len(rows)
        for row in rows:
            if not await self.passes(node, row["key"]):
                continue
            history = await self.shop.fetch(HISTORY, row["subscription_id"])
            # Suspended and paid for again, it is the same key: it may have lived for a moment.
            if any(
                each["live"] and each["key"] == row["key"] and each["seq"] > row["seen"]
                for each in history
            ):
                self.looked["revived keys"] += 1
                continue
            [now] = await self.shop.fetch("SELECT generation FROM vpn.nodes WHERE name = $1", REAL)
            story = [tuple(each) for each in history]
            self.wrong.append(f"a dead key passes at {now}: {row}; {story}; {self.shop.hurt}")

    async def expired_keys(self) -> None:
        """Whose time is over passes no more, though vpn and scheduler may be away."""
        node, rows = self.shop.nodes[REAL], await self.shop.fetch(EXPIRED, REAL)
        over = [row["key"] for row in rows if row["over"]]
        self.looked["expired keys"] += len(over)
        for key in over:
            if await self.passes(node, key) and self.shop.unhurt(REAL, UNHURT_SECONDS):
                self.wrong.append(f"an expired key passes: {key}")

    async def passes(self, node: RealNode, key: UUID) -> bool:
        return await probe.passes(node.params(key), self.shop.target.port, 1.0)

    async def strangers(self) -> None:
        for name, core in self.shop.cores.items():
            life = core.life
            users = await core.users()
            if life % 2 and life == core.life:
                self.looked["strangers"] += 1
                missing = core.strangers.items() - users.items()
                self.wrong += [f"{name}: a stranger is gone: {each}" for each in missing]


async def out_of_step(shop: Shop) -> list[str]:
    """What a node holds, by its own word, and should not; or should, and does not."""
    found: list[str] = []
    wanted = await shop.fetch(WANTED)
    for name, core in shop.cores.items():
        mine = {r["email"]: r["key"] for r in wanted if serves(r["set_id"], NODES[name])}
        should, holds = {**mine, **core.strangers}.items(), (await core.users()).items()
        found += [f"{name} holds {who}: {key}" for who, key in holds - should]
        found += [f"{name} does not hold {who}: {key}" for who, key in should - holds]
    node, port = shop.nodes[REAL], shop.target.port
    here = {r["key"] for r in wanted if serves(r["set_id"], NODES[REAL])} | {shop.stranger.key}
    others = {r["key"] for r in await shop.fetch("SELECT DISTINCT key FROM public.keys")} - here
    keys = [*here, *others]
    passing = await asyncio.gather(*(probe.passes(node.params(key), port) for key in keys))
    for key, passed in zip(keys, passing, strict=True):
        if passed != (key in here):
            found.append(f"{REAL} {'lets' if passed else 'does not let'} {key} pass")
    return found


async def in_step(shop: Shop, *, within: timedelta, what: str) -> None:
    """Wait until every node holds exactly whom it should; AssertionError with what differs."""
    found: list[str] = []

    async def nothing() -> bool:
        found[:] = await out_of_step(shop)
        return not found

    try:
        await drain(nothing, within=within, what=what)
    except AssertionError as error:
        nodes = [dict(row) for row in await shop.fetch("SELECT * FROM vpn.nodes")]
        told = "\n".join([*found, *map(str, nodes), shop.last_words()])
        raise AssertionError(f"{error}:\n{told}") from error


async def report(shop: Shop, watcher: Watcher, what: str) -> None:
    """Print what the storm was made of."""
    [row] = await shop.fetch(MADE)
    print(f"\n{what}")
    for each in watcher.wrong:
        print(f"WRONG: {each}")
    print(f"{shop.kills.total()} kills: {dict(shop.kills)}")
    print(
        f"made: {dict(row)}; watched: {dict(watcher.looked)}; dead keys {watcher.rounds} times each"
    )
    print(f"in step {watcher.settled:.1f} s after")
