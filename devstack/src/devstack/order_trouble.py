"""Why an order will not get through, read from the shop's own rows while a person waits."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import asyncpg

POLL_SECONDS = 0.3
SAID_LOOKS_MAX = 10
UNWELL_SECONDS_MAX = 12.0
"""As long as a generator needs to notice that its server is back, and some more."""
HEALTH_SECONDS_MAX = 3.0
GENERATOR = "generator"

_TROUBLE = """
SELECT 'the photo could not be used (' || error || ')' FROM gateway.media
 WHERE user_id = $1 AND state = 'failed'
UNION ALL
SELECT CASE s.state
  WHEN 'refused' THEN 'the order was refused'
  WHEN 'dropped' THEN 'the photo could not be fetched, so nothing was ordered'
  ELSE 'the order did not succeed, and nothing was charged' END
  || coalesce(' (' || nullif(o.reason, '') || ')', '')
 FROM gateway.screens s LEFT JOIN billing.orders o USING (order_id)
 WHERE s.user_id = $1 AND s.state IN ('refused', 'refunded', 'dropped')
"""
_UNSAID = "SELECT count(*) FROM gateway.deliveries WHERE user_id = $1 AND state = 'intent'"


class OrderTroubleError(Exception):
    """The order will not get through; the sentence says why."""


async def why_not(connection: asyncpg.Connection, user_id: int) -> str | None:
    """Return why a person's one order ended without a result, or None while it may succeed."""
    found: str | None = await connection.fetchval(_TROUBLE, user_id)
    return found


async def unwell(session: aiohttp.ClientSession, health: Mapping[str, str]) -> list[str]:
    """Return one sentence for each process that is not ready for an order."""
    asked = [_unready(session, name, url) for name, url in health.items()]
    return [found for found in await asyncio.gather(*asked) if found is not None]


async def _unready(session: aiohttp.ClientSession, name: str, url: str) -> str | None:
    limit = aiohttp.ClientTimeout(total=HEALTH_SECONDS_MAX)
    try:
        async with session.get(f"{url}/readyz", timeout=limit) as answer:
            told = await answer.json()
            reasons = [*told["unwell"].values(), *told.get("notes", {}).values()]
            return f"{name} is not ready: {'; '.join(reasons)}" if reasons else None
    except (aiohttp.ClientError, TimeoutError):
        return f"{name} does not answer"


class Watch:
    """Looks after one person's order until it is stopped or has something to say."""

    def __init__(
        self, session: aiohttp.ClientSession, known: Mapping[str, Any], user_id: int
    ) -> None:
        self._session = session
        self._database = known["database"]
        self._health = known["health"]
        self._user_id = user_id

    async def check_first(self) -> None:
        """Raise OrderTroubleError when nobody could work on an order now."""
        sick = await unwell(self._session, self._health)
        servers = self._servers()
        others = [each for each in sick if not each.startswith(GENERATOR)]
        if others or len(sick) == len(servers):
            raise OrderTroubleError("; ".join(sick))

    async def run(self) -> None:
        """Raise OrderTroubleError as soon as the order cannot succeed any more."""
        loop = asyncio.get_running_loop()
        well_at = loop.time()
        connection = await asyncpg.connect(self._database)
        try:
            while True:
                if why := await why_not(connection, self._user_id):
                    await self._until_said(connection)
                    raise OrderTroubleError(why)
                servers = self._servers()
                sick = await unwell(self._session, servers)
                if len(sick) < len(servers):
                    well_at = loop.time()
                elif loop.time() - well_at > UNWELL_SECONDS_MAX:
                    raise OrderTroubleError("no server can work on it: " + "; ".join(sick))
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await connection.close()

    def _servers(self) -> dict[str, str]:
        """One of them is enough."""
        return {name: url for name, url in self._health.items() if name.startswith(GENERATOR)}

    async def _until_said(self, connection: asyncpg.Connection) -> None:
        """The bot's own words are about to be in the chat; they say more than we do."""
        for _ in range(SAID_LOOKS_MAX):
            if not await connection.fetchval(_UNSAID, self._user_id):
                return
            await asyncio.sleep(POLL_SECONDS)
