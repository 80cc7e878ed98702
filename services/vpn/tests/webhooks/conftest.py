"""A server of subscription links, and a client of it."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest_asyncio
from multidict import CIMultiDictProxy

from chassis.callers import PRIVATE, Proxies, networks
from chassis.testing import FakeClock
from vpn.adapters.memory_links import MemoryLinks, sample
from vpn.domain.links import Shop
from vpn.webhooks import Limits, SubscriptionLinks

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOKEN = "Zx9_aB-3" * 4
OTHER = "Qw8_eR-5" * 4
RUNNING = sample(NOW + timedelta(days=12))
SHOP = Shop(
    title="Витрина ✨",
    base_url="https://sub.example.com",
    support_url="https://t.me/example",
    announce="Новые серверы!",
)


@dataclasses.dataclass
class Stand:
    """One server, its links and a client."""

    links: MemoryLinks
    clock: FakeClock
    server: SubscriptionLinks
    session: aiohttp.ClientSession

    async def ask(
        self, path: str = f"/sub/{TOKEN}", *, method: str = "GET", **headers: str
    ) -> tuple[int, CIMultiDictProxy[str], str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.session.request(method, url, headers=named) as answer:
            return answer.status, answer.headers, await answer.text()

    def change(self, **changes: object) -> None:
        self.links.kept[TOKEN] = dataclasses.replace(self.links.kept[TOKEN], **changes)  # type: ignore[arg-type]


Build = Callable[..., Awaitable[Stand]]


@pytest_asyncio.fixture
async def build() -> AsyncIterator[Build]:
    stands: list[Stand] = []

    async def built(
        *,
        shop: Shop = SHOP,
        trusted: str = "",
        links: Any = None,
        clock: FakeClock | None = None,
        **limits: object,
    ) -> Stand:
        links = links or MemoryLinks({TOKEN: RUNNING, OTHER: RUNNING})
        clock = clock or FakeClock(NOW)
        server = SubscriptionLinks(
            links,
            shop,
            clock=clock,
            titles={"en": {"vpn-month": "30 days"}},
            host="127.0.0.1",
            port=0,
            limits=Limits(**limits),  # type: ignore[arg-type]
            proxies=Proxies(trusted, networks(PRIVATE)),
        )
        await server.start()
        session = aiohttp.ClientSession(auto_decompress=False)
        stands.append(Stand(links, clock, server, session))
        return stands[-1]

    yield built
    for stand in stands:
        await stand.session.close()
        await stand.server.stop()


@pytest_asyncio.fixture
async def stand(build: Build) -> Stand:
    return await build()
