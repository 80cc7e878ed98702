"""The last release becomes this one under load, and this one the last again: nobody notices.

The services of both releases run side by side on one schema and one set of streams, each service
replaced while people order. VITRINE_LAST_RELEASE names another commit than devstack.releases does.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from devstack.chaos.subscribers import WANTED
from devstack.releases import LAST_RELEASE, Release, RollingShop, rolling_shop, unpacked
from devstack.rolling import (
    FORWARD,
    PEOPLE,
    TOGETHER,
    Load,
    consumers,
    judged,
    operator,
    ordering,
    roll,
)
from devstack.settings import REPOSITORY

pytestmark = [pytest.mark.xdist_group("heavy"), pytest.mark.timeout(600)]

SCHEMAS = ("gateway", "billing", "vpn", "scheduler")


async def steps(shop: RollingShop) -> Mapping[str, frozenset[str]]:
    """Which migrations each schema has had."""
    found = {}
    connection = await asyncpg.connect(shop.stage.urls["database"])
    for schema in SCHEMAS:
        rows = await connection.fetch(f"SELECT key FROM {schema}.schema_version")
        found[schema] = frozenset(row["key"] for row in rows)
    await connection.close()
    return found


async def test_a_release_rolls_forward_and_back_under_load(tmp_path: Path) -> None:
    last = unpacked(LAST_RELEASE, tmp_path)
    if last is None:
        # A shallow clone is no fault of the code's, in CI either.
        pytest.skip(f"ROLLING UPGRADE NOT TESTED: git does not know {LAST_RELEASE} here")
    # The documented way: signatures are only observed until no process of the last release is left.
    this = Release("this", REPOSITORY, {"SIGNATURES": "observe"})
    async with rolling_shop() as shop, operator(shop) as broker:
        await shop.prepare(last)
        await asyncio.gather(*(shop.start(name, last) for name in shop.names))
        await shop.stage.comfyui("time_scale", {"time_scale": 0.05})
        load = Load(shop)
        await load.begin(broker)
        async with ordering(load):
            await load.more(TOGETHER)
            known = await consumers(broker)
            schema = []
            for people, order, release in (
                (load.people[::2], FORWARD, this),
                (load.people[1::2], tuple(reversed(FORWARD)), last),
            ):
                # On the way back too: a rollback may run the old Jobs while the new pods serve.
                await shop.prepare(release)
                schema.append(await steps(shop))
                buying = asyncio.ensure_future(load.subscribe(people))
                await roll(shop, load, order, release)
                await load.more(TOGETHER)
                await buying

        assert await judged(shop, load) == []
        assert {
            key: made for key, made in (await consumers(broker)).items() if key in known
        } == known
        # Back means the code alone: what the new release made of the schema stays.
        assert schema == [await steps(shop)] * 2
        assert load.log.access == {"paid": PEOPLE * len(WANTED)}
        assert len(load.log.placed) >= TOGETHER * (2 * len(FORWARD) + 3)
